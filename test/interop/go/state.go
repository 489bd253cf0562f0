package main

import (
	"net/http"
	"sync"
)

// What has happened, and who waits in /hold; named as in test/support/backend-state.ts.
type counts struct {
	Connections int   `json:"connections"`
	Requests    int   `json:"requests"`
	Active      int   `json:"active"`
	Completed   int   `json:"completed"`
	Aborted     int   `json:"aborted"`
	Holding     int   `json:"holding"`
	BytesRead   int64 `json:"bytesRead"`
	BytesSent   int64 `json:"bytesSent"`
}

type state struct {
	id       string
	protocol string
	lock     sync.Mutex
	counts   counts
	gate     chan struct{}
}

func newState(id string, protocol string) *state {
	return &state{id: id, protocol: protocol, gate: make(chan struct{})}
}

func (s *state) add(change func(*counts)) {
	s.lock.Lock()
	change(&s.counts)
	s.lock.Unlock()
}

func (s *state) snapshot() counts {
	s.lock.Lock()
	defer s.lock.Unlock()
	return s.counts
}

func (s *state) release() {
	s.lock.Lock()
	defer s.lock.Unlock()
	close(s.gate)
	s.gate = make(chan struct{})
	s.counts.Holding = 0
}

func (s *state) held() <-chan struct{} {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.counts.Holding++
	return s.gate
}

func (s *state) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.add(func(c *counts) { c.Requests++; c.Active++ })
	call := &call{state: s, w: w, r: r}
	defer func() {
		broken := recover()
		s.add(func(c *counts) {
			c.Active--
			if call.gone {
				c.Aborted++
			} else {
				c.Completed++
			}
		})
		if broken != nil {
			panic(broken)
		}
	}()
	call.answer()
}
