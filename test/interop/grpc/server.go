package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

const serviceName = "spooky.Test"

// Larger than every message of the cases.
const messageBytesMax = 8 << 20

func serve(args []string) {
	flags := flag.NewFlagSet("serve", flag.ExitOnError)
	cert := flags.String("cert", "", "certificate; none: HTTP/2 in clear")
	key := flags.String("key", "", "its key")
	flags.Parse(args)
	options := []grpc.ServerOption{grpc.MaxRecvMsgSize(messageBytesMax), grpc.MaxSendMsgSize(messageBytesMax)}
	if *cert != "" {
		tls, err := credentials.NewServerTLSFromFile(*cert, *key)
		if err != nil {
			fail(err.Error())
		}
		options = append(options, grpc.Creds(tls))
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fail(err.Error())
	}
	server := grpc.NewServer(options...)
	server.RegisterService(&description, nil)
	printLine(map[string]any{"port": listener.Addr().(*net.TCPAddr).Port})
	go func() {
		io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	if err := server.Serve(listener); err != nil {
		fail(err.Error())
	}
}

var description = grpc.ServiceDesc{
	ServiceName: serviceName,
	HandlerType: (*any)(nil),
	Methods: []grpc.MethodDesc{
		{MethodName: "Echo", Handler: unary(echo)},
		{MethodName: "Fail", Handler: unary(failAtOnce)},
		{MethodName: "Deadline", Handler: unary(deadline)},
		{MethodName: "Wait", Handler: unary(wait)},
	},
	Streams: []grpc.StreamDesc{
		{StreamName: "Down", Handler: down, ServerStreams: true},
		{StreamName: "FailLate", Handler: failLate, ServerStreams: true},
		{StreamName: "Up", Handler: up, ClientStreams: true},
		{StreamName: "UpRefused", Handler: upRefused, ClientStreams: true},
		{StreamName: "Chat", Handler: chat, ServerStreams: true, ClientStreams: true},
	},
}

type message = wrapperspb.BytesValue

func unary(answer func(context.Context, *message) (*message, error)) grpc.MethodHandler {
	return func(_ any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		request := new(message)
		if err := decode(request); err != nil {
			return nil, err
		}
		return answer(ctx, request)
	}
}

// echo sends the message back, and the metadata `x-ask` and `x-ask-bin` both before and behind it.
func echo(ctx context.Context, request *message) (*message, error) {
	asked, _ := metadata.FromIncomingContext(ctx)
	head, tail := metadata.MD{}, metadata.MD{}
	for _, name := range []string{"x-ask", "x-ask-bin"} {
		head.Set("x-head"+name[5:], asked.Get(name)...)
		tail.Set("x-tail"+name[5:], asked.Get(name)...)
	}
	grpc.SetHeader(ctx, head)
	grpc.SetTrailer(ctx, tail)
	return request, nil
}

// failAtOnce answers without a message: its head is its trailers.
func failAtOnce(_ context.Context, request *message) (*message, error) {
	return nil, failure(request)
}

// failure has a message that has to be percent-encoded and a detail that holds the request's bytes.
func failure(request *message) error {
	state := status.New(codes.FailedPrecondition, "not yet: 100 % of the wörld")
	detailed, err := state.WithDetails(&errdetails.DebugInfo{Detail: hex.EncodeToString(request.Value)})
	if err != nil {
		return err
	}
	return detailed.Err()
}

// deadline answers with the milliseconds that are left, or `none`.
func deadline(ctx context.Context, _ *message) (*message, error) {
	at, has := ctx.Deadline()
	if !has {
		return &message{Value: []byte("none")}, nil
	}
	return &message{Value: []byte(strconv.FormatInt(time.Until(at).Milliseconds(), 10))}, nil
}

// wait ends when the client does not want the answer any more.
func wait(ctx context.Context, request *message) (*message, error) {
	printLine(map[string]any{"event": "waiting", "call": string(request.Value)})
	<-ctx.Done()
	printLine(map[string]any{"event": "cancelled", "call": string(request.Value), "error": ctx.Err().Error()})
	return nil, ctx.Err()
}

// down sends `count` messages of `bytes` bytes each, as the request says (`COUNT BYTES`).
func down(_ any, stream grpc.ServerStream) error {
	count, bytes, err := order(stream)
	if err != nil {
		return err
	}
	for i := range count {
		if err := stream.SendMsg(&message{Value: pattern(i, bytes)}); err != nil {
			return err
		}
	}
	stream.SetTrailer(metadata.Pairs("x-sent", strconv.Itoa(count)))
	return nil
}

func failLate(_ any, stream grpc.ServerStream) error {
	count, bytes, err := order(stream)
	if err != nil {
		return err
	}
	for i := range count {
		if err := stream.SendMsg(&message{Value: pattern(i, bytes)}); err != nil {
			return err
		}
	}
	return failure(&message{Value: []byte("late")})
}

func order(stream grpc.ServerStream) (count int, bytes int, err error) {
	request := new(message)
	if err := stream.RecvMsg(request); err != nil {
		return 0, 0, err
	}
	_, err = fmt.Sscanf(string(request.Value), "%d %d", &count, &bytes)
	return count, bytes, err
}

// up answers with the number of messages and the SHA-256 of all their bytes.
func up(_ any, stream grpc.ServerStream) error {
	sum, count := sha256.New(), 0
	for {
		request := new(message)
		err := stream.RecvMsg(request)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		sum.Write(request.Value)
		count++
	}
	text := fmt.Sprintf("%d %x", count, sum.Sum(nil))
	return stream.SendMsg(&message{Value: []byte(text)})
}

// upRefused reads one message and refuses the others.
func upRefused(_ any, stream grpc.ServerStream) error {
	request := new(message)
	if err := stream.RecvMsg(request); err != nil {
		return err
	}
	return status.Error(codes.ResourceExhausted, "no more")
}

// chat sends each message back as soon as it came. One that says `wait` has it wait for the client to go.
func chat(_ any, stream grpc.ServerStream) error {
	for {
		request := new(message)
		err := stream.RecvMsg(request)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := stream.SendMsg(request); err != nil {
			return err
		}
		if string(request.Value) == "wait" {
			<-stream.Context().Done()
			printLine(map[string]any{"event": "cancelled", "call": "chat", "error": stream.Context().Err().Error()})
			return stream.Context().Err()
		}
	}
}

// pattern is what both ends know message `index` of `bytes` bytes to hold.
func pattern(index int, bytes int) []byte {
	made := make([]byte, bytes)
	state := uint32(index)*2654435761 + 1
	for i := range made {
		state = state*1664525 + 1013904223
		made[i] = byte(state >> 24)
	}
	return made
}
