// Makes frames.json: frames of HTTP/2 as the Framer of golang.org/x/net/http2 writes them, which shares nothing with ours.
//
// Run in an empty folder with a copy of this file:
//
//	go mod init frames && go get golang.org/x/net/http2@v0.62.0 && go run frames.go > frames.json
//
// Each entry says what was asked for and what the Framer wrote: the 9 bytes of the header, and the payload where it is short.
package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

type entry struct {
	Name     string      `json:"name"`
	Type     uint8       `json:"type"`
	Flags    uint8       `json:"flags"`
	Stream   uint32      `json:"stream"`
	Length   int         `json:"length"`
	Header   string      `json:"header"`
	Payload  *string     `json:"payload"`
	Content  *string     `json:"content,omitempty"`
	Settings [][2]uint32 `json:"settings,omitempty"`
	Value    *uint32     `json:"value,omitempty"`
	Last     *uint32     `json:"last,omitempty"`
}

const payloadShown = 600

var entries []entry

func pattern(length int) []byte {
	made := make([]byte, length)
	for i := range made {
		made[i] = byte(i*31 + length)
	}
	return made
}

// One frame, with what it is about: `content` is what padding and priority surround.
func add(name string, content []byte, detail func(*entry), write func(*http2.Framer) error) {
	var buffer bytes.Buffer
	framer := http2.NewFramer(&buffer, nil)
	framer.AllowIllegalWrites = true
	if err := write(framer); err != nil {
		panic(fmt.Sprintf("%s: %v", name, err))
	}
	wire := buffer.Bytes()
	header, err := http2.ReadFrameHeader(bytes.NewReader(wire))
	if err != nil || int(header.Length) != len(wire)-9 {
		panic(name)
	}
	made := entry{Name: name, Type: uint8(header.Type), Flags: uint8(header.Flags), Stream: header.StreamID, Length: int(header.Length)}
	made.Header = hex.EncodeToString(wire[:9])
	if len(wire) <= payloadShown {
		text := hex.EncodeToString(wire[9:])
		made.Payload = &text
		if content != nil {
			text := hex.EncodeToString(content)
			made.Content = &text
		}
	}
	if detail != nil {
		detail(&made)
	}
	entries = append(entries, made)
}

func value(number uint32) func(*entry) {
	return func(made *entry) { made.Value = &number }
}

func main() {
	for _, stream := range []uint32{1, 3, 255, 256, 65537, 1<<31 - 1} {
		add(fmt.Sprintf("DATA on stream %d", stream), pattern(5), nil, func(f *http2.Framer) error {
			return f.WriteData(stream, false, pattern(5))
		})
	}
	for _, length := range []int{0, 1, 63, 64, 65, 255, 256, 257, 500, 16383, 16384} {
		for _, end := range []bool{false, true} {
			add(fmt.Sprintf("DATA of %d bytes, end %v", length, end), pattern(length), nil, func(f *http2.Framer) error {
				return f.WriteData(1, end, pattern(length))
			})
		}
	}
	for _, padding := range []int{0, 1, 255} {
		for _, length := range []int{0, 1, 200} {
			add(fmt.Sprintf("DATA of %d bytes with %d of padding", length, padding), pattern(length), nil, func(f *http2.Framer) error {
				return f.WriteDataPadded(5, true, pattern(length), make([]byte, padding))
			})
		}
	}
	headers()
	control()
	fmt.Println("[")
	for i, made := range entries {
		line, err := json.Marshal(made)
		if err != nil {
			panic(err)
		}
		comma := ","
		if i == len(entries)-1 {
			comma = ""
		}
		fmt.Printf("  %s%s\n", line, comma)
	}
	fmt.Println("]")
}

func block() []byte {
	var buffer bytes.Buffer
	encoder := hpack.NewEncoder(&buffer)
	for _, field := range [][2]string{{":status", "200"}, {"server", "go"}, {"x-a", "b"}} {
		if err := encoder.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]}); err != nil {
			panic(err)
		}
	}
	return buffer.Bytes()
}

func headers() {
	for _, param := range []http2.HeadersFrameParam{
		{StreamID: 1, EndHeaders: true},
		{StreamID: 1, EndHeaders: true, EndStream: true},
		{StreamID: 7, EndStream: true},
		{StreamID: 7},
		{StreamID: 9, EndHeaders: true, PadLength: 1},
		{StreamID: 9, EndHeaders: true, PadLength: 255},
		{StreamID: 9, EndHeaders: true, Priority: http2.PriorityParam{StreamDep: 3, Weight: 15}},
		{StreamID: 9, EndHeaders: true, PadLength: 8, Priority: http2.PriorityParam{StreamDep: 1<<31 - 1, Exclusive: true, Weight: 255}},
	} {
		param.BlockFragment = block()
		name := fmt.Sprintf("HEADERS on stream %d, whole %v, end %v, padding %d, priority %v",
			param.StreamID, param.EndHeaders, param.EndStream, param.PadLength, !param.Priority.IsZero())
		add(name, param.BlockFragment, nil, func(f *http2.Framer) error { return f.WriteHeaders(param) })
	}
	for _, whole := range []bool{false, true} {
		add(fmt.Sprintf("CONTINUATION, whole %v", whole), block(), nil, func(f *http2.Framer) error {
			return f.WriteContinuation(7, whole, block())
		})
	}
	add("PUSH_PROMISE", nil, nil, func(f *http2.Framer) error {
		return f.WritePushPromise(http2.PushPromiseParam{StreamID: 1, PromiseID: 2, BlockFragment: block(), EndHeaders: true})
	})
}

func control() {
	add("PRIORITY", nil, nil, func(f *http2.Framer) error {
		return f.WritePriority(11, http2.PriorityParam{StreamDep: 9, Weight: 200})
	})
	for _, code := range []uint32{0, 1, 7, 8, 11, 0xdeadbeef, 1<<32 - 1} {
		add(fmt.Sprintf("RST_STREAM with code %d", code), nil, value(code), func(f *http2.Framer) error {
			return f.WriteRSTStream(3, http2.ErrCode(code))
		})
	}
	for _, credit := range []uint32{1, 255, 65536, 1<<31 - 1} {
		for _, stream := range []uint32{0, 5} {
			add(fmt.Sprintf("WINDOW_UPDATE of %d on stream %d", credit, stream), nil, value(credit), func(f *http2.Framer) error {
				return f.WriteWindowUpdate(stream, credit)
			})
		}
	}
	for _, ack := range []bool{false, true} {
		data := [8]byte{0, 1, 127, 128, 254, 255, 'h', '2'}
		add(fmt.Sprintf("PING, acknowledgement %v", ack), data[:], nil, func(f *http2.Framer) error { return f.WritePing(ack, data) })
	}
	for _, debug := range []string{"", "going away"} {
		for _, last := range []uint32{0, 1<<31 - 1} {
			add(fmt.Sprintf("GOAWAY, last stream %d, %q", last, debug), []byte(debug), func(made *entry) {
				code := uint32(http2.ErrCodeEnhanceYourCalm)
				made.Value, made.Last = &code, &last
			}, func(f *http2.Framer) error { return f.WriteGoAway(last, http2.ErrCodeEnhanceYourCalm, []byte(debug)) })
		}
	}
	for _, settings := range [][]http2.Setting{
		{},
		{{ID: http2.SettingMaxConcurrentStreams, Val: 100}},
		{{ID: http2.SettingHeaderTableSize, Val: 4096}, {ID: http2.SettingEnablePush, Val: 0}, {ID: http2.SettingInitialWindowSize, Val: 1<<31 - 1},
			{ID: http2.SettingMaxFrameSize, Val: 1<<24 - 1}, {ID: http2.SettingMaxHeaderListSize, Val: 1<<32 - 1}, {ID: 0xf00d, Val: 7}},
	} {
		add(fmt.Sprintf("SETTINGS of %d entries", len(settings)), nil, func(made *entry) {
			made.Settings = [][2]uint32{}
			for _, setting := range settings {
				made.Settings = append(made.Settings, [2]uint32{uint32(setting.ID), setting.Val})
			}
		}, func(f *http2.Framer) error { return f.WriteSettings(settings...) })
	}
	add("SETTINGS acknowledged", nil, nil, func(f *http2.Framer) error { return f.WriteSettingsAck() })
	add("an unknown frame", pattern(20), nil, func(f *http2.Framer) error {
		return f.WriteRawFrame(0xee, 0xff, 13, pattern(20))
	})
}
