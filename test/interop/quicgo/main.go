// HTTP/3 by quic-go, driven by a plan: one line of JSON on standard input; later lines are cues that a plan waits for.
//
// Standard output is lines of JSON: events ({"event":...}), at last {"result":[...]}, one entry per connection of the plan. The plan's
// keys are those of QuicGoPlan in test/interop/quicgo.ts; that file is the reference. It ends with 1 when a plan could not be played.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"sync"
	"time"
)

// Ends a client that hangs; no test is proved by it.
const hangsAfter = 10 * time.Minute

type plan struct {
	Host          string   `json:"host"`
	Port          int      `json:"port"`
	LocalHosts    []string `json:"local_hosts"`
	ServerName    string   `json:"server_name"`
	CAFile        string   `json:"ca_file"`
	IdleTimeoutMs int      `json:"idle_timeout_ms"`
	// A client that only listens is not heard on its new port: it says something after so long a silence. 0: it does not.
	KeepAliveMs int `json:"keep_alive_ms"`
	// Receive windows, bytes; 0: quic-go's own.
	Window      uint64 `json:"window"`
	Connections int    `json:"connections"`
	// A connection before each fetches a ticket, with one request for this path; the steps are played on one that resumes it.
	TicketPath string `json:"ticket_path"`
	// The steps begin with the first flight (0-RTT), as far as the ticket allows it.
	Early bool `json:"early"`
	// Of the first Initial, hexadecimal.
	Token string `json:"token"`
	Steps []step `json:"steps"`
}

type step struct {
	Do          string `json:"do"`
	ID          string `json:"id"`
	Path        string `json:"path"`
	Method      string `json:"method"`
	Text        string `json:"text"`
	Count       int    `json:"count"`
	Concurrency int    `json:"concurrency"`
	Local       string `json:"local_host"`
	Way         string `json:"way"`
	Moves       int    `json:"moves"`
	Bytes       int    `json:"bytes"`
	Rate        int    `json:"rate"`
	MoveEvery   int    `json:"move_every"`
	RenewEvery  int    `json:"renew_every"`
}

// cues are lines of standard input, taken in order by whoever waits; done is closed at the end of the input.
type cues struct {
	lines chan string
	done  chan struct{}
}

func main() {
	log.SetFlags(0)
	// Sockets that can be exchanged have no buffers to be set.
	os.Setenv("QUIC_GO_DISABLE_RECEIVE_BUFFER_WARNING", "true")
	input := bufio.NewScanner(os.Stdin)
	input.Buffer(nil, 1<<20)
	if !input.Scan() {
		log.Fatal("no plan on standard input")
	}
	var p plan
	if err := json.Unmarshal(input.Bytes(), &p); err != nil {
		log.Fatal(err)
	}
	waiting := &cues{lines: make(chan string, 1024), done: make(chan struct{})}
	go func() {
		defer close(waiting.done)
		for input.Scan() {
			waiting.lines <- input.Text()
		}
	}()
	ctx, cancel := context.WithTimeout(context.Background(), hangsAfter)
	defer cancel()
	results := make([]*result, max(p.Connections, 1))
	var running sync.WaitGroup
	for number := range results {
		running.Go(func() { results[number] = play(ctx, &p, number, waiting) })
	}
	running.Wait()
	say(map[string]any{"result": results})
}

var output sync.Mutex

func say(value any) {
	line, err := json.Marshal(value)
	if err != nil {
		log.Fatal(err)
	}
	output.Lock()
	defer output.Unlock()
	fmt.Println(string(line))
}
