// A backend in Go for the upstream tests: HTTP/2 by golang.org/x/net/http2, HTTP/1.1 by net/http.
//
//	server -protocol http1|https1|h2|h2c -id NAME [-cert FILE -key FILE]
//	server -version
//
// Its first line on standard output is {"port":N}. It takes one command a line on standard input and ends with
// it: release, goaway, drop, and state, which is answered with one line of JSON. The routes are those of test/support/routes.ts.
package main

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"runtime"
)

func main() {
	protocol := flag.String("protocol", "http1", "http1, https1, h2 or h2c")
	id := flag.String("id", "go", "shown in every answer")
	certFile := flag.String("cert", "", "certificate, PEM")
	keyFile := flag.String("key", "", "key, PEM")
	version := flag.Bool("version", false, "print Go's version and end")
	flag.Parse()
	if *version {
		fmt.Println(runtime.Version())
		return
	}
	var certificates []tls.Certificate
	if *protocol == "https1" || *protocol == "h2" {
		pair, err := tls.LoadX509KeyPair(*certFile, *keyFile)
		if err != nil {
			log.Fatal(err)
		}
		certificates = append(certificates, pair)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	state := newState(*id, *protocol)
	front := newFront(listener, *protocol, certificates, state)
	say(map[string]any{"port": listener.Addr().(*net.TCPAddr).Port})
	for input := bufio.NewScanner(os.Stdin); input.Scan(); {
		switch input.Text() {
		case "release":
			state.release()
		case "goaway":
			front.renew()
		case "drop":
			front.drop()
		case "state":
		default:
			log.Fatalf("unknown command %q", input.Text())
		}
		say(state.snapshot())
	}
}

func say(value any) {
	line, err := json.Marshal(value)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(line))
}
