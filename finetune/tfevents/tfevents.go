// Package tfevents writes event files that TensorBoard reads: named numbers at steps.
//
// A file is a sequence of records, TensorFlow's TFRecord format: the length of the data,
// 8 bytes little-endian; the masked CRC-32C of these 8 bytes, 4 bytes; the data; their
// masked CRC-32C. Masking rotates the CRC right by 15 bits and adds 0xa282ead8. The data
// are protocol buffers of the message Event (tensorflow/core/util/event.proto), of which
// this package uses the fields
//
//	1 wall_time double, 2 step int64, 3 file_version string, 5 summary, 7 session_log
//
// and of Summary (tensorflow/core/framework/summary.proto) values {1 tag, 2 simple_value},
// and of SessionLog {1 status}. TensorBoard takes files whose names contain "tfevents".
package tfevents

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"os"
	"time"
)

// Scalar is a named number, such as {"val/top1", 0.9}.
type Scalar struct {
	Tag   string
	Value float64
}

// Writer appends events to a file.
type Writer struct {
	file *os.File
}

// Open opens a file to append to it, and makes it where there is none. A record at its end
// that is not whole, as an end of the process or of the power leaves it, is cut off. Events
// from step on, that the file has already, are said to be superseded.
func Open(name string, step int64) (*Writer, error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o666)
	if err != nil {
		return nil, fmt.Errorf("tfevents: %w", err)
	}
	w := &Writer{f}
	whole, err := wholeRecords(f)
	if err == nil {
		err = f.Truncate(whole)
	}
	if err == nil {
		_, err = f.Seek(whole, io.SeekStart)
	}
	if err == nil && whole == 0 {
		err = w.event(now(), 0, appendBytes(nil, 3, []byte("brain.Event:2")))
	} else if err == nil {
		const start = 1
		err = w.event(now(), step, appendBytes(nil, 7, appendVarint(nil, 1, start)))
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("tfevents: %q: %w", name, err)
	}
	return w, nil
}

func now() float64 { return float64(time.Now().UnixNano()) / 1e9 }

// Write appends an event with some numbers.
func (w *Writer) Write(step int64, scalars ...Scalar) error {
	var summary []byte
	for _, s := range scalars {
		value := appendFixed32(appendBytes(nil, 1, []byte(s.Tag)), 2, math.Float32bits(float32(s.Value)))
		summary = appendBytes(summary, 1, value)
	}
	if err := w.event(now(), step, appendBytes(nil, 5, summary)); err != nil {
		return fmt.Errorf("tfevents: %w", err)
	}
	return nil
}

// Close closes the file.
func (w *Writer) Close() error { return w.file.Close() }

// event writes the record of an event with one more field.
func (w *Writer) event(wall float64, step int64, field []byte) error {
	data := appendFixed64(nil, 1, math.Float64bits(wall))
	if step != 0 {
		data = appendVarint(data, 2, uint64(step))
	}
	_, err := w.file.Write(record(append(data, field...)))
	return err
}

// record is data with its length and sums.
func record(data []byte) []byte {
	out := binary.LittleEndian.AppendUint64(nil, uint64(len(data)))
	out = binary.LittleEndian.AppendUint32(out, masked(out))
	return binary.LittleEndian.AppendUint32(append(out, data...), masked(data))
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// masked is the masked CRC-32C of data.
func masked(data []byte) uint32 {
	sum := crc32.Checksum(data, castagnoli)
	return (sum>>15 | sum<<17) + 0xa282ead8
}

// maxEvent is the most bytes of an event that wholeRecords takes for one.
const maxEvent = 1 << 20

// wholeRecords is the length of the records of a file that are whole.
func wholeRecords(f io.Reader) (n int64, err error) {
	r := bufio.NewReader(f)
	head := make([]byte, 12)
	for {
		if _, err := io.ReadFull(r, head); err != nil {
			return n, ended(err)
		}
		size := binary.LittleEndian.Uint64(head)
		if binary.LittleEndian.Uint32(head[8:]) != masked(head[:8]) || size > maxEvent {
			return n, nil
		}
		data := make([]byte, size+4)
		if _, err := io.ReadFull(r, data); err != nil {
			return n, ended(err)
		}
		if binary.LittleEndian.Uint32(data[size:]) != masked(data[:size]) {
			return n, nil
		}
		n += int64(len(head) + len(data))
	}
}

// ended is nil where a file has ended.
func ended(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}

// Fields of protocol buffers: a key, the field's number times 8 plus the wire type, and
// the value.

func appendVarint(b []byte, field, v uint64) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(b, field<<3), v)
}

func appendFixed64(b []byte, field, v uint64) []byte {
	return binary.LittleEndian.AppendUint64(binary.AppendUvarint(b, field<<3|1), v)
}

func appendBytes(b []byte, field uint64, v []byte) []byte {
	b = binary.AppendUvarint(binary.AppendUvarint(b, field<<3|2), uint64(len(v)))
	return append(b, v...)
}

func appendFixed32(b []byte, field uint64, v uint32) []byte {
	return binary.LittleEndian.AppendUint32(binary.AppendUvarint(b, field<<3|5), v)
}
