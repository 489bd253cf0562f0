package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"time"

	"connectrpc.com/connect"
	"github.com/quic-go/quic-go/http3"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
)

// Ends a call that hangs; no test is proved by it.
const hangsAfter = 60 * time.Second

type seen map[string]any

// client makes calls of one service.
type client struct {
	http *http.Client
	base string
}

var cases = map[string]func(context.Context, *client, []string) seen{
	"unary":        unaryCase,
	"fail":         failCase,
	"fail-late":    failLateCase,
	"unknown":      unknownCase,
	"deadline":     deadlineCase,
	"down":         downCase,
	"up":           upCase,
	"up-refused":   upRefusedCase,
	"chat":         chatCase,
	"cancel-unary": cancelUnaryCase,
	"cancel-chat":  cancelChatCase,
	"expire":       expireCase,
}

func call(args []string) {
	flags := flag.NewFlagSet("call", flag.ExitOnError)
	base := flags.String("url", "", "where the service is")
	ca := flags.String("ca", "", "who signed its certificate")
	flags.Parse(args)
	roots := x509.NewCertPool()
	pem, err := os.ReadFile(*ca)
	if err != nil || !roots.AppendCertsFromPEM(pem) {
		fail("no certificate authority in " + *ca)
	}
	run, known := cases[flags.Arg(0)]
	if !known {
		fail("no such case: " + flags.Arg(0))
	}
	transport := &http3.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	defer transport.Close()
	ctx, cancel := context.WithTimeout(context.Background(), hangsAfter)
	defer cancel()
	printLine(run(withoutDeadline{ctx}, &client{http: &http.Client{Transport: transport}, base: *base}, flags.Args()[1:]))
}

// withoutDeadline ends with its context and tells nobody when that will be: else each call would send it as grpc-timeout.
type withoutDeadline struct{ context.Context }

func (withoutDeadline) Deadline() (time.Time, bool) { return time.Time{}, false }

func (c *client) method(name string) *connect.Client[message, message] {
	options := []connect.ClientOption{connect.WithGRPC(), connect.WithReadMaxBytes(messageBytesMax)}
	return connect.NewClient[message, message](c.http, c.base+"/"+serviceName+"/"+name, options...)
}

func unaryCase(ctx context.Context, c *client, args []string) seen {
	size, _ := strconv.Atoi(args[0])
	sent := pattern(1, size)
	request := connect.NewRequest(&message{Value: sent})
	request.Header().Set("x-ask", "first")
	request.Header().Add("x-ask", "second, with a comma")
	request.Header().Set("x-ask-bin", connect.EncodeBinaryHeader([]byte{0, 1, 254, 255}))
	response, err := c.method("Echo").CallUnary(ctx, request)
	if err != nil {
		return failed(err)
	}
	return seen{
		"equal":   bytes.Equal(sent, response.Msg.Value),
		"head":    response.Header().Values("x-head"),
		"headBin": decoded(response.Header().Get("x-head-bin")),
		"tail":    response.Trailer().Values("x-tail"),
		"tailBin": decoded(response.Trailer().Get("x-tail-bin")),
		"status":  response.Trailer().Get("grpc-status"),
	}
}

func decoded(value string) string {
	raw, err := connect.DecodeBinaryHeader(value)
	if err != nil {
		return err.Error()
	}
	return hex.EncodeToString(raw)
}

func failCase(ctx context.Context, c *client, _ []string) seen {
	_, err := c.method("Fail").CallUnary(ctx, connect.NewRequest(&message{Value: []byte("ask")}))
	return failed(err)
}

func unknownCase(ctx context.Context, c *client, _ []string) seen {
	_, err := c.method("Nothing").CallUnary(ctx, connect.NewRequest(&message{}))
	return failed(err)
}

// failed is a call's error as the client tells it; nothing for none.
func failed(err error) seen {
	if err == nil {
		return seen{"code": "ok"}
	}
	result := seen{"code": connect.CodeOf(err).String(), "message": err.Error()}
	var known *connect.Error
	if !errors.As(err, &known) {
		return result
	}
	result["message"] = known.Message()
	details := []string{}
	for _, detail := range known.Details() {
		value, err := detail.Value()
		if info, is := value.(*errdetails.DebugInfo); err == nil && is {
			details = append(details, info.Detail)
		}
	}
	result["details"] = details
	return result
}

func deadlineCase(ctx context.Context, c *client, _ []string) seen {
	without, err := c.method("Deadline").CallUnary(ctx, connect.NewRequest(&message{}))
	if err != nil {
		return failed(err)
	}
	limited, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	with, err := c.method("Deadline").CallUnary(limited, connect.NewRequest(&message{}))
	if err != nil {
		return failed(err)
	}
	left, _ := strconv.Atoi(string(with.Msg.Value))
	return seen{"without": string(without.Msg.Value), "withinTime": left > 20_000 && left <= 30_000}
}

func downCase(ctx context.Context, c *client, args []string) seen {
	return readAll(ctx, c, "Down", args)
}

func failLateCase(ctx context.Context, c *client, args []string) seen {
	return readAll(ctx, c, "FailLate", args)
}

func readAll(ctx context.Context, c *client, method string, args []string) seen {
	count, _ := strconv.Atoi(args[0])
	size, _ := strconv.Atoi(args[1])
	request := connect.NewRequest(&message{Value: fmt.Appendf(nil, "%d %d", count, size)})
	stream, err := c.method(method).CallServerStream(ctx, request)
	if err != nil {
		return failed(err)
	}
	defer stream.Close()
	got, equal := 0, true
	for stream.Receive() {
		equal = equal && bytes.Equal(stream.Msg().Value, pattern(got, size))
		got++
	}
	result := failed(stream.Err())
	result["messages"], result["equal"], result["sent"] = got, equal, stream.ResponseTrailer().Get("x-sent")
	return result
}

func upCase(ctx context.Context, c *client, args []string) seen {
	count, _ := strconv.Atoi(args[0])
	size, _ := strconv.Atoi(args[1])
	stream := c.method("Up").CallClientStream(ctx)
	sum := sha256.New()
	for i := range count {
		value := pattern(i, size)
		sum.Write(value)
		if err := stream.Send(&message{Value: value}); err != nil {
			return failed(err)
		}
	}
	response, err := stream.CloseAndReceive()
	if err != nil {
		return failed(err)
	}
	return seen{"equal": string(response.Msg.Value) == fmt.Sprintf("%d %x", count, sum.Sum(nil))}
}

// upRefusedCase goes on sending until it is told of the refusal: Send then says that the stream has ended.
func upRefusedCase(ctx context.Context, c *client, _ []string) seen {
	stream := c.method("UpRefused").CallClientStream(ctx)
	stopped := false
	for !stopped && ctx.Err() == nil {
		stopped = stream.Send(&message{Value: pattern(0, 10_000)}) != nil
	}
	_, err := stream.CloseAndReceive()
	result := failed(err)
	result["stopped"] = stopped
	return result
}

// chatCase sends a message only when the one before has come back: it ends only where both directions flow at once.
func chatCase(ctx context.Context, c *client, args []string) seen {
	rounds, _ := strconv.Atoi(args[0])
	size, _ := strconv.Atoi(args[1])
	stream := c.method("Chat").CallBidiStream(ctx)
	for i := range rounds {
		sent := pattern(i, size)
		if err := stream.Send(&message{Value: sent}); err != nil {
			return failed(err)
		}
		got, err := stream.Receive()
		if err != nil {
			return failed(err)
		}
		if !bytes.Equal(got.Value, sent) {
			return seen{"wrongAt": i}
		}
	}
	if err := stream.CloseRequest(); err != nil {
		return failed(err)
	}
	_, err := stream.Receive()
	return seen{"rounds": rounds, "ended": errors.Is(err, io.EOF), "closed": stream.CloseResponse() == nil}
}

// The cancelling cases wait for a line on their input before they cancel.
func cancelUnaryCase(ctx context.Context, c *client, _ []string) seen {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		os.Stdin.Read(make([]byte, 1))
		cancel()
	}()
	_, err := c.method("Wait").CallUnary(ctx, connect.NewRequest(&message{Value: []byte("unary")}))
	return failed(err)
}

func cancelChatCase(ctx context.Context, c *client, _ []string) seen {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream := c.method("Chat").CallBidiStream(ctx)
	if err := stream.Send(&message{Value: []byte("wait")}); err != nil {
		return failed(err)
	}
	if _, err := stream.Receive(); err != nil {
		return failed(err)
	}
	cancel()
	_, err := stream.Receive()
	return failed(err)
}

// expireCase lets a call run into its deadline.
func expireCase(ctx context.Context, c *client, _ []string) seen {
	ctx, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
	defer cancel()
	_, err := c.method("Wait").CallUnary(ctx, connect.NewRequest(&message{Value: []byte("expire")}))
	return failed(err)
}
