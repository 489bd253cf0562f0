package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// What became of one connection of the plan.
type result struct {
	Requests  []*requestSums `json:"requests"`
	Downloads []*download    `json:"downloads"`
	Loads     []*loadSums    `json:"loads"`
	// Addresses and ports it has sent from.
	Locals      []string       `json:"locals"`
	Frames      map[string]int `json:"frames"`
	HandshakeMs float64        `json:"handshake_ms"`
	// The handshake went by a ticket; the server has taken early data.
	Resumed    bool `json:"resumed"`
	EarlyTaken bool `json:"early_taken"`
	// Why a step could not be played; empty when all were.
	Error string `json:"error"`
	// How the connection ended when it was not this client that closed it.
	Closed string `json:"closed"`
}

// Sums over equal requests. Every one that was begun is answered or failed.
type requestSums struct {
	ID       string         `json:"id"`
	Sent     int            `json:"sent"`
	Statuses map[string]int `json:"statuses"`
	Failed   int            `json:"failed"`
	// The first few.
	Errors []string `json:"errors"`
	lock   sync.Mutex
}

type download struct {
	ID     string `json:"id"`
	Status int    `json:"status"`
	Bytes  int    `json:"bytes"`
	SHA256 string `json:"sha256"`
	Moves  int    `json:"moves"`
	Error  string `json:"error"`
}

const errorsKeptMax = 10

func play(ctx context.Context, p *plan, number int, waiting *cues) *result {
	r := &result{Requests: []*requestSums{}, Downloads: []*download{}, Loads: []*loadSums{}, Locals: []string{}}
	w := newWatch()
	defer func() { r.Frames = w.snapshot() }()
	if len(p.Steps) > 0 && p.Steps[0].Do == "load" {
		r.Loads = append(r.Loads, load(ctx, p, &p.Steps[0], number, w, waiting))
		return r
	}
	tickets, err := p.ticket(ctx, p.local(number))
	if err != nil {
		r.Error = "ticket: " + err.Error()
		return r
	}
	s, err := p.dial(ctx, p.local(number), w, tickets)
	if err != nil {
		r.Error = err.Error()
		return r
	}
	defer s.close()
	r.HandshakeMs = float64(s.handshake.Microseconds()) / 1000
	say(map[string]any{"event": "connected", "connection": number})
	for i := range p.Steps {
		if err := s.step(ctx, &p.Steps[i], number, r, waiting); err != nil {
			r.Error = fmt.Sprintf("step %d (%s): %v", i, p.Steps[i].Do, err)
			break
		}
	}
	r.Locals = s.locals
	state := s.conn.ConnectionState()
	r.Resumed, r.EarlyTaken = state.TLS.DidResume, state.Used0RTT
	if cause := context.Cause(s.conn.Context()); cause != nil {
		r.Closed = cause.Error()
	}
	return r
}

func (s *session) step(ctx context.Context, one *step, number int, r *result, waiting *cues) error {
	switch one.Do {
	case "request":
		sums := &requestSums{ID: one.ID, Statuses: map[string]int{}, Errors: []string{}}
		r.Requests = append(r.Requests, sums)
		s.requests(ctx, one, sums)
		return nil
	case "download":
		seen := &download{ID: one.ID}
		r.Downloads = append(r.Downloads, seen)
		if err := s.download(ctx, one, seen); err != nil {
			seen.Error = err.Error()
		}
		return nil
	case "migrate":
		return s.migrate(ctx, one.Local)
	case "rebind":
		return s.rebind(one.Local)
	case "say":
		say(map[string]any{"event": "said", "connection": number, "text": one.Text})
		return nil
	case "cue":
		select {
		case <-waiting.lines:
			return nil
		case <-waiting.done:
			return errors.New("no cue came")
		}
	case "wait_closed":
		<-s.conn.Context().Done()
		return nil
	}
	return fmt.Errorf("no such step")
}

// requests sends `count` of them, `concurrency` at a time.
func (s *session) requests(ctx context.Context, one *step, sums *requestSums) {
	left := make(chan struct{}, max(one.Count, 1))
	for range max(one.Count, 1) {
		left <- struct{}{}
	}
	close(left)
	var running sync.WaitGroup
	for range max(one.Concurrency, 1) {
		running.Go(func() {
			for range left {
				sums.begin()
				status, err := s.get(ctx, one, io.Discard)
				sums.end(status, err)
			}
		})
	}
	running.Wait()
}

func (sums *requestSums) begin() {
	sums.lock.Lock()
	defer sums.lock.Unlock()
	sums.Sent++
}

func (sums *requestSums) end(status int, err error) {
	sums.lock.Lock()
	defer sums.lock.Unlock()
	if err == nil {
		sums.Statuses[fmt.Sprint(status)]++
		return
	}
	sums.Failed++
	if len(sums.Errors) < errorsKeptMax {
		sums.Errors = append(sums.Errors, err.Error())
	}
}

// get is one request over this connection; its body goes where it is told.
func (s *session) get(ctx context.Context, one *step, to io.Writer) (int, error) {
	method := http.MethodGet
	if s.plan.Early && one.Method == "" {
		method = http3.MethodGet0RTT
	} else if one.Method != "" {
		method = one.Method
	}
	request, err := http.NewRequestWithContext(ctx, method, "https://"+s.plan.authority()+one.Path, nil)
	if err != nil {
		return 0, err
	}
	response, err := s.http.RoundTrip(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	_, err = io.Copy(to, response.Body)
	return response.StatusCode, err
}

// download takes a body of `bytes` and moves in the middle of it, each time an equal part has come.
func (s *session) download(ctx context.Context, one *step, seen *download) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+s.plan.authority()+one.Path, nil)
	if err != nil {
		return err
	}
	response, err := s.http.RoundTrip(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	seen.Status = response.StatusCode
	sum := sha256.New()
	piece := make([]byte, 16*1024)
	for {
		count, err := response.Body.Read(piece)
		sum.Write(piece[:count])
		seen.Bytes += count
		if err == io.EOF {
			break
		} else if err != nil {
			return err
		}
		if seen.Moves < one.Moves && seen.Bytes >= one.Bytes*(seen.Moves+1)/(one.Moves+2) {
			if err := s.move(ctx, one, seen.Moves); err != nil {
				return err
			}
			seen.Moves++
		}
	}
	seen.SHA256 = hex.EncodeToString(sum.Sum(nil))
	return nil
}

// move goes in the way that was asked for, over the plan's addresses in turn.
func (s *session) move(ctx context.Context, one *step, number int) error {
	local := s.plan.local(number + 1)
	if one.Way == "rebind" {
		return s.rebind(local)
	}
	return s.migrate(ctx, local)
}

func isReset(err error) bool {
	_, reset := errors.AsType[*quic.StatelessResetError](err)
	return reset
}

func sinceMs(began time.Time) float64 {
	return float64(time.Since(began).Microseconds()) / 1000
}
