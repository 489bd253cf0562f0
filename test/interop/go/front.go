package main

import (
	"context"
	"crypto/tls"
	"errors"
	"log"
	"net"
	"net/http"
	"sync"

	"golang.org/x/net/http2"
)

// A front is a listening socket that outlives the servers behind it, so that one of them can go away while the next takes over.
type front struct {
	protocol     string
	certificates []tls.Certificate
	state        *state
	accepted     chan net.Conn
	lock         sync.Mutex
	open         map[net.Conn]struct{}
	current      *generation
}

// One server behind the front.
type generation struct {
	front *front
	http  *http.Server
	http2 *http2.Server
	over  chan struct{}
	once  sync.Once
}

type connectionKey struct{}

func newFront(listener net.Listener, protocol string, certificates []tls.Certificate, state *state) *front {
	f := &front{
		protocol:     protocol,
		certificates: certificates,
		state:        state,
		accepted:     make(chan net.Conn),
		open:         map[net.Conn]struct{}{},
	}
	f.current = f.start()
	go f.accept(listener)
	return f
}

func (f *front) accept(listener net.Listener) {
	for {
		raw, err := listener.Accept()
		if err != nil {
			log.Fatal(err)
		}
		f.state.add(func(c *counts) { c.Connections++ })
		conn := &trackedConn{Conn: raw, front: f}
		f.lock.Lock()
		f.open[conn] = struct{}{}
		f.lock.Unlock()
		f.accepted <- conn
	}
}

func (f *front) start() *generation {
	g := &generation{front: f, over: make(chan struct{}), http2: &http2.Server{}}
	g.http = &http.Server{
		Handler: f.state,
		ConnContext: func(ctx context.Context, conn net.Conn) context.Context {
			if secure, ok := conn.(*tls.Conn); ok {
				conn = secure.NetConn()
			}
			return context.WithValue(ctx, connectionKey{}, conn)
		},
		TLSConfig: &tls.Config{Certificates: f.certificates},
	}
	switch f.protocol {
	case "http1":
		go g.http.Serve(g)
	case "https1":
		g.http.TLSConfig.NextProtos = []string{"http/1.1"}
		g.http.TLSNextProto = map[string]func(*http.Server, *tls.Conn, http.Handler){}
		go g.http.ServeTLS(g, "", "")
	case "h2":
		g.http.TLSConfig.NextProtos = []string{"h2", "http/1.1"}
		g.configureHTTP2()
		go g.http.ServeTLS(g, "", "")
	case "h2c":
		g.configureHTTP2()
		go g.serveCleartext()
	default:
		log.Fatalf("unknown protocol %q", f.protocol)
	}
	return g
}

func (g *generation) configureHTTP2() {
	if err := http2.ConfigureServer(g.http, g.http2); err != nil {
		log.Fatal(err)
	}
}

func (g *generation) serveCleartext() {
	for {
		conn, err := g.Accept()
		if err != nil {
			return
		}
		ctx := context.WithValue(context.Background(), connectionKey{}, conn)
		go g.http2.ServeConn(conn, &http2.ServeConnOpts{Context: ctx, BaseConfig: g.http, Handler: g.front.state})
	}
}

// renew starts a server that takes all further connections; the old one says so on its own and ends when they are done.
func (f *front) renew() {
	old := f.current
	f.current = f.start()
	old.Close()
	go old.http.Shutdown(context.Background())
}

// drop ends every connection at once.
func (f *front) drop() {
	f.lock.Lock()
	conns := make([]net.Conn, 0, len(f.open))
	for conn := range f.open {
		conns = append(conns, conn)
	}
	f.lock.Unlock()
	for _, conn := range conns {
		conn.Close()
	}
}

// Accept makes a generation a listener: it takes from the front until it is closed.
func (g *generation) Accept() (net.Conn, error) {
	select {
	case <-g.over:
		return nil, errOver
	default:
	}
	select {
	case conn := <-g.front.accepted:
		return conn, nil
	case <-g.over:
		return nil, errOver
	}
}

func (g *generation) Close() error {
	g.once.Do(func() { close(g.over) })
	return nil
}

func (g *generation) Addr() net.Addr { return &net.TCPAddr{} }

var errOver = errors.New("this server has gone away")

type trackedConn struct {
	net.Conn
	front *front
}

func (c *trackedConn) Close() error {
	c.front.lock.Lock()
	delete(c.front.open, c)
	c.front.lock.Unlock()
	return c.Conn.Close()
}

// abort ends the connection with a TCP reset.
func (c *trackedConn) abort() {
	if tcp, ok := c.Conn.(*net.TCPConn); ok {
		tcp.SetLinger(0)
	}
	c.Close()
}
