package main

import (
	"context"
	"maps"
	"sync"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/qlog"
	"github.com/quic-go/quic-go/qlogwriter"
)

// A watch counts what a connection's packets carried, by the events that quic-go writes for qlog.
type watch struct {
	lock   sync.Mutex
	counts map[string]int
	// Destination ids of packets sent: a client that moves takes another one.
	ids map[string]struct{}
}

func newWatch() *watch {
	return &watch{counts: map[string]int{}, ids: map[string]struct{}{}}
}

// tracer is for quic.Config.
func (w *watch) tracer(context.Context, bool, quic.ConnectionID) qlogwriter.Trace { return w }

func (w *watch) AddProducer() qlogwriter.Recorder { return w }
func (w *watch) SupportsSchemas(string) bool      { return true }
func (w *watch) Close() error                     { return nil }

func (w *watch) RecordEvent(event qlogwriter.Event) {
	w.lock.Lock()
	defer w.lock.Unlock()
	switch e := event.(type) {
	case qlog.PacketReceived:
		if e.Header.PacketType == qlog.PacketTypeRetry {
			w.counts["retry_received"]++
		}
		for _, frame := range e.Frames {
			w.count(frame.Frame, "received")
		}
	case qlog.PacketSent:
		if e.Header.PacketType == qlog.PacketType1RTT {
			w.ids[e.Header.DestConnectionID.String()] = struct{}{}
		}
		for _, frame := range e.Frames {
			w.count(frame.Frame, "sent")
		}
	case qlog.ConnectionClosed:
		if e.Trigger == qlog.ConnectionCloseTriggerStatelessReset {
			w.counts["stateless_resets"]++
		}
	}
}

func (w *watch) count(frame any, way string) {
	switch frame.(type) {
	case *qlog.PathChallengeFrame:
		w.counts["path_challenge_"+way]++
	case *qlog.PathResponseFrame:
		w.counts["path_response_"+way]++
	case *qlog.NewConnectionIDFrame:
		w.counts["new_connection_id_"+way]++
	case *qlog.RetireConnectionIDFrame:
		w.counts["retire_connection_id_"+way]++
	case *qlog.NewTokenFrame:
		w.counts["new_token_"+way]++
	}
}

func (w *watch) snapshot() map[string]int {
	w.lock.Lock()
	defer w.lock.Unlock()
	seen := maps.Clone(w.counts)
	seen["ids_used"] = len(w.ids)
	return seen
}
