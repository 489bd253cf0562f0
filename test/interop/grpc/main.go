// A gRPC service on google.golang.org/grpc and a gRPC client of connectrpc.com/connect over quic-go's HTTP/3: both ends of calls
// that pass through the proxy. Messages are google.protobuf.BytesValue, so that no code has to be generated.
//
//	grpc serve [-cert FILE -key FILE]     prints its port, then an event for each call that was cancelled; ends with its input
//	grpc call -url URL -ca FILE CASE      makes the calls of one case and prints what it saw, as one line of JSON
package main

import (
	"encoding/json"
	"fmt"
	"os"
)

func main() {
	if len(os.Args) < 2 {
		fail("usage: grpc serve|call ...")
	}
	switch os.Args[1] {
	case "serve":
		serve(os.Args[2:])
	case "call":
		call(os.Args[2:])
	default:
		fail("no such command: " + os.Args[1])
	}
}

// printLine writes one line of JSON in one write, so that lines of several goroutines do not mix.
func printLine(value any) {
	text, err := json.Marshal(value)
	if err != nil {
		fail(err.Error())
	}
	os.Stdout.Write(append(text, '\n'))
}

func fail(message string) {
	fmt.Fprintln(os.Stderr, message)
	os.Exit(1)
}
