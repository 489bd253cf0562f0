package main

import (
	"bytes"
	"compress/gzip"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// One request under way.
type call struct {
	state *state
	w     http.ResponseWriter
	r     *http.Request
	query url.Values
	rest  string
	// The client has gone: a read or a write failed.
	gone bool
}

const pieceBytes = 64 * 1024

var routes = map[string]func(*call){
	"small":            (*call).small,
	"bytes":            (*call).bytes,
	"gzip":             (*call).gzip,
	"health":           func(c *call) { c.text(200, "health\n") },
	"status":           (*call).status,
	"headers":          (*call).headers,
	"upload":           (*call).upload,
	"echo":             (*call).echo,
	"slow":             (*call).slow,
	"hold":             (*call).hold,
	"hold-body":        (*call).holdBody,
	"stream":           (*call).stream,
	"drip":             (*call).drip,
	"hints":            (*call).hints,
	"trailers":         (*call).trailers,
	"request-trailers": (*call).requestTrailers,
	"ignore-body":      func(c *call) { c.text(200, "body not read\n") },
	"reset-before":     (*call).reset,
	"reset-mid":        (*call).resetMid,
	"cut-mid":          (*call).cutMid,
}

func (c *call) answer() {
	// Without it HTTP/1.1 reads the whole request before it answers. Go 1.21 and later have it.
	if duplex, ok := c.w.(interface{ EnableFullDuplex() error }); ok {
		_ = duplex.EnableFullDuplex()
	}
	c.query = c.r.URL.Query()
	name, rest, _ := strings.Cut(strings.TrimPrefix(c.r.URL.Path, "/"), "/")
	c.rest = rest
	if route, ok := routes[name]; ok {
		route(c)
	} else {
		c.text(200, fmt.Sprintf("%s %s %s\n", c.state.id, c.r.Method, c.r.RequestURI))
	}
}

func (c *call) small() {
	c.whole(200, pattern("small").take(512), "content-type", "application/octet-stream")
}

func (c *call) bytes() {
	total := atoi(c.rest)
	if c.query.Get("length") == "no" {
		c.begin(200)
	} else {
		c.begin(200, "content-length", strconv.Itoa(total))
	}
	stream := pattern(c.option("seed", "bytes"))
	piece := c.number("piece", pieceBytes)
	for left := total; left > 0 && !c.gone; left -= piece {
		c.write(stream.take(min(left, piece)))
	}
}

func (c *call) gzip() {
	var packed bytes.Buffer
	writer := gzip.NewWriter(&packed)
	writer.Write(pattern(c.option("seed", "bytes")).take(atoi(c.rest)))
	writer.Close()
	c.whole(200, packed.Bytes(), "content-encoding", "gzip")
}

func (c *call) status() {
	code := atoi(c.rest)
	var fields []string
	for _, field := range c.query["field"] {
		name, value, _ := strings.Cut(field, ":")
		fields = append(fields, name, value)
	}
	if pad := c.number("pad", 0); pad > 0 {
		fields = append(fields, "x-pad", strings.Repeat("p", pad))
	}
	if code == 204 || code == 304 {
		c.begin(code, fields...)
		return
	}
	c.whole(code, []byte(fmt.Sprintf("status %d\n", code)), fields...)
}

func (c *call) headers() {
	host := "host"
	if c.r.ProtoMajor == 2 {
		host = ":authority"
	}
	fields := [][2]string{{host, c.r.Host}}
	for name, values := range c.r.Header {
		for _, value := range values {
			fields = append(fields, [2]string{strings.ToLower(name), value})
		}
	}
	c.json(map[string]any{
		"backend": c.state.id, "protocol": c.state.protocol,
		"method": c.r.Method, "target": c.r.RequestURI, "fields": fields,
	})
}

func (c *call) upload() {
	hash := sha256.New()
	length := 0
	c.read(func(piece []byte) { hash.Write(piece); length += len(piece) })
	c.json(map[string]any{"length": length, "sha256": hex.EncodeToString(hash.Sum(nil))})
}

func (c *call) requestTrailers() {
	length := 0
	c.read(func(piece []byte) { length += len(piece) })
	fields := [][2]string{}
	for name, values := range c.r.Trailer {
		for _, value := range values {
			fields = append(fields, [2]string{strings.ToLower(name), value})
		}
	}
	c.json(map[string]any{"length": length, "trailers": fields})
}

func (c *call) echo() {
	if kind := c.r.Header.Get("content-type"); kind != "" {
		c.begin(200, "content-type", kind)
	} else {
		c.begin(200)
	}
	c.read(c.write)
}

func (c *call) slow() {
	c.pause(50)
	c.text(200, "slow\n")
}

func (c *call) hold() {
	c.wait()
	c.text(200, "held\n")
}

func (c *call) holdBody() {
	c.begin(200)
	c.write(pattern("hold-body").take(c.number("bytes", 100)))
	c.wait()
	c.write([]byte("released"))
}

func (c *call) stream() {
	c.begin(200)
	for piece := 0; piece < c.number("pieces", 5) && !c.gone; piece++ {
		if piece > 0 {
			c.pause(1)
		}
		c.write(pattern(fmt.Sprintf("stream-%d", piece)).take(c.number("bytes", 100)))
	}
}

func (c *call) drip() {
	c.begin(200)
	for _, one := range pattern("drip").take(c.number("bytes", 20)) {
		c.write([]byte{one})
		c.pause(1)
	}
}

func (c *call) hints() {
	c.w.Header().Set("link", "</style.css>; rel=preload; as=style")
	c.w.WriteHeader(103)
	c.w.Header().Del("link")
	c.text(200, "after the hints\n")
}

func (c *call) trailers() {
	c.begin(200, "trailer", "x-checksum")
	c.write(pattern("trailers").take(100))
	c.w.Header().Set("x-checksum", "pattern-trailers")
}

// reset breaks the connection (HTTP/1.1) or the stream (HTTP/2).
func (c *call) reset() {
	if conn, ok := c.r.Context().Value(connectionKey{}).(*trackedConn); ok && c.r.ProtoMajor == 1 {
		conn.abort()
	}
	panic(http.ErrAbortHandler)
}

func (c *call) resetMid() {
	c.part("reset-mid")
	time.Sleep(20 * time.Millisecond)
	c.reset()
}

// cutMid ends in an orderly way before the announced end: the connection (HTTP/1.1) or the stream (HTTP/2).
func (c *call) cutMid() {
	c.part("cut-mid")
	if c.r.ProtoMajor == 1 {
		panic(http.ErrAbortHandler)
	}
}

func (c *call) part(seed string) {
	if length := c.query.Get("length"); length != "" {
		c.begin(200, "content-length", length)
	} else {
		c.begin(200)
	}
	c.write(pattern(seed).take(c.number("bytes", 1000)))
}

func (c *call) wait() {
	select {
	case <-c.state.held():
	case <-c.r.Context().Done():
		c.gone = true
	}
}

func (c *call) begin(code int, fields ...string) {
	header := c.w.Header()
	header["Content-Type"] = nil
	header.Set("x-backend", c.state.id)
	header.Set("x-backend-protocol", c.state.protocol)
	header.Set("x-connection", c.r.RemoteAddr)
	for i := 0; i < len(fields); i += 2 {
		if strings.EqualFold(fields[i], "content-type") {
			header.Del("content-type")
		}
		header.Add(fields[i], fields[i+1])
	}
	c.w.WriteHeader(code)
	c.flush()
}

func (c *call) whole(code int, body []byte, fields ...string) {
	c.begin(code, append([]string{"content-length", strconv.Itoa(len(body))}, fields...)...)
	if c.r.Method != http.MethodHead {
		c.write(body)
	}
}

func (c *call) text(code int, line string) { c.whole(code, []byte(line), "content-type", "text/plain") }

func (c *call) json(value any) {
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false)
	encoder.Encode(value)
	c.whole(200, bytes.TrimSuffix(body.Bytes(), []byte("\n")), "content-type", "application/json")
}

func (c *call) write(piece []byte) {
	if c.gone {
		return
	}
	written, err := c.w.Write(piece)
	c.state.add(func(counts *counts) { counts.BytesSent += int64(written) })
	if err != nil && err != http.ErrBodyNotAllowed {
		c.gone = true
	}
	c.flush()
}

func (c *call) flush() {
	if flusher, ok := c.w.(http.Flusher); ok {
		flusher.Flush()
	}
}

// read hands the body over in pieces. One that breaks off ends the request without an answer.
func (c *call) read(take func([]byte)) {
	piece := make([]byte, pieceBytes)
	for {
		length, err := c.r.Body.Read(piece)
		if length > 0 {
			c.state.add(func(counts *counts) { counts.BytesRead += int64(length) })
			take(piece[:length])
		}
		if err == io.EOF {
			return
		}
		if err != nil || c.gone {
			c.gone = true
			panic(http.ErrAbortHandler)
		}
	}
}

func (c *call) pause(otherwise int) {
	select {
	case <-time.After(time.Duration(c.number("ms", otherwise)) * time.Millisecond):
	case <-c.r.Context().Done():
		c.gone = true
	}
}

func (c *call) number(name string, otherwise int) int {
	if value := c.query.Get(name); value != "" {
		return atoi(value)
	}
	return otherwise
}

func (c *call) option(name string, otherwise string) string {
	if value := c.query.Get(name); value != "" {
		return value
	}
	return otherwise
}

func atoi(text string) int {
	number, _ := strconv.Atoi(text)
	return number
}

func min(a int, b int) int {
	if a < b {
		return a
	}
	return b
}

// The pseudo-random bytes of test/support/pattern.ts.
type patternStream struct{ cipher cipher.Stream }

func pattern(seed string) patternStream {
	key := sha256.Sum256([]byte(seed))
	block, err := aes.NewCipher(key[:16])
	if err != nil {
		panic(err)
	}
	return patternStream{cipher.NewCTR(block, make([]byte, 16))}
}

func (p patternStream) take(length int) []byte {
	bytes := make([]byte, length)
	p.cipher.XORKeyStream(bytes, bytes)
	return bytes
}
