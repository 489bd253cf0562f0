package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"crypto/tls"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// Sums of a load. A request is failed when http3.Transport gave it up: that sends a request again by itself only when the server
// surely has not seen it (after GOAWAY, or when it was reset with H3_REQUEST_REJECTED), as browsers do.
type loadSums struct {
	requestSums
	Connections     int     `json:"connections"`
	StatelessResets int     `json:"stateless_resets"`
	Rebinds         int     `json:"rebinds"`
	Seconds         float64 `json:"seconds"`
	SlowestMs       float64 `json:"slowest_ms"`
	P50Ms           float64 `json:"p50_ms"`
	P99Ms           float64 `json:"p99_ms"`
	// From the first failure of a connection to the first answer over the next one; the longest.
	RecoveryMs float64 `json:"recovery_ms"`
}

// A loader keeps one connection of the transport going and moves it now and then.
type loader struct {
	plan    *plan
	step    *step
	number  int
	watch   *watch
	sums    *loadSums
	http    *http3.Transport
	sockets []*movingSocket
	lock    sync.Mutex
	latency []float64
	broken  time.Time
}

// load asks at `rate` a second until the cue `stop`, over connections that are made again when the server wants to.
func load(ctx context.Context, p *plan, one *step, number int, w *watch, waiting *cues) *loadSums {
	sums := &loadSums{requestSums: requestSums{ID: one.ID, Statuses: map[string]int{}, Errors: []string{}}}
	config, err := p.tls()
	if err != nil {
		sums.end(0, err)
		return sums
	}
	l := &loader{plan: p, step: one, number: number, watch: w, sums: sums}
	l.http = &http3.Transport{TLSClientConfig: config, QUICConfig: p.quic(w), Dial: l.dial}
	defer l.close()
	began := time.Now()
	tick := time.NewTicker(time.Second / time.Duration(max(one.Rate, 1)))
	defer tick.Stop()
	var running sync.WaitGroup
	var begun atomic.Int64
	for over := false; !over; {
		select {
		case <-waiting.done:
			over = true
		case <-tick.C:
			count := int(begun.Add(1))
			if one.MoveEvery > 0 && count%one.MoveEvery == 0 {
				l.rebind()
			}
			if one.RenewEvery > 0 && count%one.RenewEvery == 0 {
				l.http.CloseIdleConnections()
			}
			if count == 1 || count%1000 == 0 {
				say(map[string]any{"event": "going", "connection": number, "begun": count})
			}
			running.Go(func() { l.one(ctx) })
		}
	}
	running.Wait()
	sums.Seconds = sinceMs(began) / 1000
	l.finish()
	return sums
}

func (l *loader) one(ctx context.Context) {
	l.sums.begin()
	began := time.Now()
	status, err := l.get(ctx)
	took := sinceMs(began)
	l.sums.end(status, err)
	l.lock.Lock()
	defer l.lock.Unlock()
	l.latency = append(l.latency, took)
	if err != nil {
		if l.broken.IsZero() {
			l.broken = time.Now()
		}
		if isReset(err) {
			l.sums.StatelessResets++
		}
	} else if !l.broken.IsZero() {
		l.sums.RecoveryMs = max(l.sums.RecoveryMs, sinceMs(l.broken))
		l.broken = time.Time{}
	}
}

func (l *loader) get(ctx context.Context) (int, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+l.plan.authority()+l.step.Path, nil)
	if err != nil {
		return 0, err
	}
	response, err := l.http.RoundTrip(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return response.StatusCode, err
}

func (l *loader) dial(ctx context.Context, _ string, config *tls.Config, settings *quic.Config) (*quic.Conn, error) {
	socket, err := newMovingSocket(l.plan.local(l.number))
	if err != nil {
		return nil, err
	}
	transport := &quic.Transport{Conn: socket}
	conn, err := transport.Dial(ctx, l.plan.address(), config, settings)
	if err != nil {
		transport.Close()
		socket.Close()
		return nil, errors.Join(errors.New("dial"), err)
	}
	l.lock.Lock()
	l.sums.Connections++
	l.sockets = append(l.sockets, socket)
	l.lock.Unlock()
	go func() {
		<-conn.Context().Done()
		// The last packets are sent by the transport after this.
		time.Sleep(100 * time.Millisecond)
		transport.Close()
		socket.Close()
	}()
	return conn, nil
}

// rebind gives the newest connection another port.
func (l *loader) rebind() {
	l.lock.Lock()
	defer l.lock.Unlock()
	if len(l.sockets) == 0 {
		return
	}
	if _, err := l.sockets[len(l.sockets)-1].move(l.plan.local(l.number + l.sums.Rebinds)); err == nil {
		l.sums.Rebinds++
	}
}

func (l *loader) close() {
	l.http.Close()
}

func (l *loader) finish() {
	l.lock.Lock()
	defer l.lock.Unlock()
	if len(l.latency) == 0 {
		return
	}
	slices.Sort(l.latency)
	l.sums.P50Ms = l.latency[len(l.latency)/2]
	l.sums.P99Ms = l.latency[len(l.latency)*99/100]
	l.sums.SlowestMs = l.latency[len(l.latency)-1]
}
