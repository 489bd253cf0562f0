package main

import (
	"context"
	"crypto/tls"
	"encoding/hex"
	"io"
	"log"
	"reflect"
	"unsafe"

	"github.com/quic-go/quic-go"
)

// A ticketCache keeps the latest session ticket and says when one has come.
type ticketCache struct {
	tls.ClientSessionCache
	came chan struct{}
}

func (c *ticketCache) Put(key string, state *tls.ClientSessionState) {
	c.ClientSessionCache.Put(key, state)
	select {
	case c.came <- struct{}{}:
	default:
	}
}

// ticket fetches one, when the plan wants it, by a connection of its own that asks for one thing.
func (p *plan) ticket(ctx context.Context, local string) (tls.ClientSessionCache, error) {
	if p.TicketPath == "" {
		return nil, nil
	}
	cache := &ticketCache{tls.NewLRUClientSessionCache(1), make(chan struct{}, 1)}
	first := *p
	first.Early = false
	s, err := first.dial(ctx, local, newWatch(), cache)
	if err != nil {
		return nil, err
	}
	defer s.close()
	if _, err := s.get(ctx, &step{Path: p.TicketPath}, io.Discard); err != nil {
		return nil, err
	}
	select {
	case <-cache.came:
		return cache, nil
	case <-s.conn.Context().Done():
		return nil, context.Cause(s.conn.Context())
	}
}

// A tokenStore gives the plan's token for every server, and keeps none.
type tokenStore struct{ token *quic.ClientToken }

func (t tokenStore) Pop(string) *quic.ClientToken { return t.token }
func (tokenStore) Put(string, *quic.ClientToken)  {}

// tokens is a store with the plan's token. quic-go makes tokens of NEW_TOKEN frames alone, so this one is written where those are kept.
func (p *plan) tokens() quic.TokenStore {
	if p.Token == "" {
		return nil
	}
	bytes, err := hex.DecodeString(p.Token)
	if err != nil {
		log.Fatal(err)
	}
	token := &quic.ClientToken{}
	data := reflect.ValueOf(token).Elem().FieldByName("data")
	reflect.NewAt(data.Type(), unsafe.Pointer(data.UnsafeAddr())).Elem().SetBytes(bytes)
	return tokenStore{token}
}
