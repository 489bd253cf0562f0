package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// A session is one connection and the sockets it has used.
type session struct {
	plan       *plan
	watch      *watch
	conn       *quic.Conn
	http       *http3.ClientConn
	transports []*quic.Transport
	path       *quic.Path
	socket     *movingSocket
	locals     []string
	handshake  time.Duration
}

func (p *plan) address() *net.UDPAddr {
	return &net.UDPAddr{IP: net.ParseIP(p.Host), Port: p.Port}
}

func (p *plan) authority() string {
	return fmt.Sprintf("%s:%d", p.ServerName, p.Port)
}

// local is the address that connection `number` begins at.
func (p *plan) local(number int) string {
	if len(p.LocalHosts) == 0 {
		return ""
	}
	return p.LocalHosts[number%len(p.LocalHosts)]
}

func (p *plan) tls() (*tls.Config, error) {
	pem, err := os.ReadFile(p.CAFile)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, errors.New("no certificate in " + p.CAFile)
	}
	return &tls.Config{RootCAs: roots, ServerName: p.ServerName, NextProtos: []string{http3.NextProtoH3}}, nil
}

func (p *plan) quic(w *watch) *quic.Config {
	return &quic.Config{
		Tracer:                         w.tracer,
		TokenStore:                     p.tokens(),
		MaxIdleTimeout:                 time.Duration(p.IdleTimeoutMs) * time.Millisecond,
		KeepAlivePeriod:                time.Duration(p.KeepAliveMs) * time.Millisecond,
		MaxIncomingStreams:             -1,
		InitialStreamReceiveWindow:     p.Window,
		MaxStreamReceiveWindow:         p.Window,
		InitialConnectionReceiveWindow: p.Window,
		MaxConnectionReceiveWindow:     p.Window,
	}
}

// dial makes a connection from a socket that can be exchanged under it; with tickets from a cache if there is one.
func (p *plan) dial(ctx context.Context, local string, w *watch, tickets tls.ClientSessionCache) (*session, error) {
	config, err := p.tls()
	if err != nil {
		return nil, err
	}
	config.ClientSessionCache = tickets
	socket, err := newMovingSocket(local)
	if err != nil {
		return nil, err
	}
	transport := &quic.Transport{Conn: socket}
	began := time.Now()
	dial := transport.Dial
	if p.Early {
		dial = transport.DialEarly
	}
	conn, err := dial(ctx, p.address(), config, p.quic(w))
	if err != nil {
		transport.Close()
		socket.Close()
		return nil, err
	}
	s := &session{plan: p, watch: w, conn: conn, socket: socket, handshake: time.Since(began)}
	s.transports = append(s.transports, transport)
	s.locals = append(s.locals, socket.LocalAddr().String())
	s.http = (&http3.Transport{}).NewClientConn(conn)
	return s, nil
}

func (s *session) close() {
	s.conn.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeNoError), "")
	for _, transport := range s.transports {
		transport.Close()
		transport.Conn.Close()
	}
}

// migrate goes over to a path of its own: another socket, another of the server's ids, probed before it is used (RFC 9000 9.1).
func (s *session) migrate(ctx context.Context, local string) error {
	socket, err := newMovingSocket(local)
	if err != nil {
		return err
	}
	transport := &quic.Transport{Conn: socket}
	s.transports = append(s.transports, transport)
	path, err := s.conn.AddPath(transport)
	if err != nil {
		return fmt.Errorf("add a path: %w", err)
	}
	probing, cancel := context.WithTimeout(ctx, probeEnds)
	defer cancel()
	if err := path.Probe(probing); err != nil {
		return fmt.Errorf("probe: %w", err)
	}
	if err := path.Switch(); err != nil {
		return fmt.Errorf("switch: %w", err)
	}
	if s.path != nil {
		if err := s.path.Close(); err != nil {
			return fmt.Errorf("close the old path: %w", err)
		}
	}
	s.path = path
	s.socket = socket
	s.locals = append(s.locals, socket.LocalAddr().String())
	return nil
}

// rebind exchanges the socket and nothing else, as a translator does that has forgotten the client.
func (s *session) rebind(local string) error {
	address, err := s.socket.move(local)
	if err == nil {
		s.locals = append(s.locals, address)
	}
	return err
}

// A probe that is not answered is a failure of the test, not a wait for the idle time-out.
const probeEnds = 5 * time.Second

// A movingSocket is a UDP socket that can be exchanged for another while it is in use.
type movingSocket struct {
	lock    sync.Mutex
	current *net.UDPConn
	closed  bool
}

func newMovingSocket(local string) (*movingSocket, error) {
	conn, err := listen(local)
	if err != nil {
		return nil, err
	}
	return &movingSocket{current: conn}, nil
}

func listen(local string) (*net.UDPConn, error) {
	return net.ListenUDP("udp", &net.UDPAddr{IP: net.ParseIP(local)})
}

func (m *movingSocket) move(local string) (string, error) {
	conn, err := listen(local)
	if err != nil {
		return "", err
	}
	m.lock.Lock()
	old := m.current
	m.current = conn
	conn.SetReadDeadline(time.Time{})
	m.lock.Unlock()
	old.Close()
	return conn.LocalAddr().String(), nil
}

func (m *movingSocket) now() (*net.UDPConn, bool) {
	m.lock.Lock()
	defer m.lock.Unlock()
	return m.current, m.closed
}

func (m *movingSocket) ReadFrom(bytes []byte) (int, net.Addr, error) {
	for {
		conn, closed := m.now()
		count, from, err := conn.ReadFrom(bytes)
		next, _ := m.now()
		if err != nil && !closed && next != conn {
			continue
		}
		return count, from, err
	}
}

func (m *movingSocket) WriteTo(bytes []byte, to net.Addr) (int, error) {
	conn, _ := m.now()
	count, err := conn.WriteTo(bytes, to)
	if next, _ := m.now(); err != nil && next != conn {
		return next.WriteTo(bytes, to)
	}
	return count, err
}

func (m *movingSocket) Close() error {
	m.lock.Lock()
	defer m.lock.Unlock()
	m.closed = true
	return m.current.Close()
}

func (m *movingSocket) LocalAddr() net.Addr {
	conn, _ := m.now()
	return conn.LocalAddr()
}

func (m *movingSocket) SetDeadline(t time.Time) error { conn, _ := m.now(); return conn.SetDeadline(t) }
func (m *movingSocket) SetReadDeadline(t time.Time) error {
	conn, _ := m.now()
	return conn.SetReadDeadline(t)
}
func (m *movingSocket) SetWriteDeadline(t time.Time) error {
	conn, _ := m.now()
	return conn.SetWriteDeadline(t)
}
