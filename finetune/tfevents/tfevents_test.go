package tfevents

import (
	"encoding/binary"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"
)

// The sum of the nine digits is CRC-32C's check value, e3069283.
func TestMasked(t *testing.T) {
	const crc = 0xe3069283
	want := uint32((uint64(crc)>>15|uint64(crc)<<17)&0xffffffff + 0xa282ead8&0xffffffff)
	if got := masked([]byte("123456789")); got != want {
		t.Errorf("%08x, want %08x", got, want)
	}
}

// The bytes of events are those of protocol buffers.
func TestEvent(t *testing.T) {
	for want, b := range map[string][]byte{
		"1801":               appendVarint(nil, 3, 1),
		"10ac02":             appendVarint(nil, 2, 300),
		"09000000000000f03f": appendFixed64(nil, 1, 0x3ff0000000000000),
		"150000003f":         appendFixed32(nil, 2, 0x3f000000),
		"0a03" + "612f62":    appendBytes(nil, 1, []byte("a/b")),
	} {
		if got := hex.EncodeToString(b); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// read returns the events of a file, without the wall time in their first nine bytes.
func read(t *testing.T, name string) (events []string) {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for len(data) > 0 {
		n := binary.LittleEndian.Uint64(data)
		events = append(events, hex.EncodeToString(data[12+9:12+n]))
		data = data[12+n+4:]
	}
	return events
}

// A file goes on where it was left, without what is not whole, and says from which step
// on it is superseded.
func TestOpen(t *testing.T) {
	name := filepath.Join(t.TempDir(), "x.tfevents")
	write := func(step, at int64, value float64) {
		t.Helper()
		w, err := Open(name, step)
		if err == nil {
			err = w.Write(at, Scalar{"a", value})
		}
		if err == nil {
			err = w.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	write(1, 5, .5)
	whole, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	first := []string{"1a0d" + hex.EncodeToString([]byte("brain.Event:2")), "1005" + "2a0a" + "0a08" + "0a0161" + "150000003f"}
	then := []string{"1004" + "3a02" + "0801", "1004" + "2a0a" + "0a08" + "0a0161" + "150000803f"}
	for _, cut := range []int{0, 1, 20, len(record(nil))} {
		if err := os.WriteFile(name, append(append([]byte{}, whole...), whole[:cut]...), 0o666); err != nil {
			t.Fatal(err)
		}
		write(4, 4, 1)
		got := read(t, name)
		want := append(append([]string{}, first...), then...)
		if len(got) != len(want) {
			t.Fatalf("cut at %d: %d events, want %d: %q", cut, len(got), len(want), got)
		}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("cut at %d: event %d is %s, want %s", cut, i, got[i], want[i])
			}
		}
	}
}
