package safetensors_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/onnx/safetensors"
)

func TestRoundTrip(t *testing.T) {
	want := []safetensors.Tensor{
		{Name: "a", DType: "F64", Shape: []int{}}, {Name: "empty", DType: "I64", Shape: []int{0, 3}},
		{Name: `odd "name"` + "\n", DType: "BOOL", Shape: []int{7}}, {Name: "z", DType: "BF16", Shape: []int{2, 2}},
	}
	file, err := safetensors.Header(want, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(file)%64 != 0 {
		t.Errorf("tensors begin at %d", len(file))
	}
	file = append(file, make([]byte, 8+7+8)...)
	got, _, err := safetensors.Read(bytes.NewReader(file), int64(len(file)))
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("read %v, %v, want %v", got, err, want)
	}
}

func TestHeaderRefuses(t *testing.T) {
	for _, dtype := range []string{"", "float32", "C64"} {
		if _, err := safetensors.Header([]safetensors.Tensor{{Name: "a", DType: dtype}}, nil); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("type %q", dtype)) {
			t.Errorf("type %q: %v", dtype, err)
		}
	}
}

func file(header string, data int) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), make([]byte, data)...)
}

// many returns a header of metadata and n tensors without values.
func many(n int) string {
	var b strings.Builder
	b.WriteString(`{"__metadata__":{"k":"v"}`)
	for i := range n {
		fmt.Fprintf(&b, `,"x%d":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}`, i)
	}
	return b.String() + "}"
}

func TestMostTensors(t *testing.T) {
	data := file(many(safetensors.MaxTensors), 0)
	tensors, metadata, err := safetensors.Read(bytes.NewReader(data), int64(len(data)))
	if err != nil || len(tensors) != safetensors.MaxTensors || metadata["k"] != "v" {
		t.Errorf("%d tensors, metadata %v, %v", len(tensors), metadata, err)
	}
}

func TestBadFiles(t *testing.T) {
	for _, c := range []struct{ name, header, want string }{
		{"type", `{"a":{"dtype":"F31","shape":[1],"data_offsets":[0,4]}}`, `type "F31"`},
		{"size", `{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}`, "F32 [2] in bytes [0 4]"},
		{"overflow", `{"a":{"dtype":"F32","shape":[4294967296,4294967296,4],"data_offsets":[0,0]}}`, "in bytes"},
		{"negative", `{"a":{"dtype":"F32","shape":[-1],"data_offsets":[4,0]}}`, "in bytes"},
		{"gap", `{"a":{"dtype":"F32","shape":[0],"data_offsets":[2,2]}}`, "begins at byte"},
		{"overlap", `{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, "begins at byte"},
		{"beyond", `{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, "ends behind"},
		{"left over", `{}`, "behind the last tensor"},
		{"not JSON", `[1,2]`, "header"},
		{"more behind", `{}{}`, "header"},
		{"not closed", `{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}`, "header"},
		{"key", `{1:2}`, "header"},
		{"one tensor too many", many(safetensors.MaxTensors + 1), "more than 65536 tensors"},
	} {
		data := file(c.header, 4)
		_, _, err := safetensors.Read(bytes.NewReader(data), int64(len(data)))
		if !errors.Is(err, safetensors.ErrFormat) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	several := file(`{"b":{"dtype":"F31"},"a":{"dtype":"F31"},"c":{"dtype":"F31"}}`, 4)
	for range 50 { // always the same one
		if _, _, err := safetensors.Read(bytes.NewReader(several), int64(len(several))); err == nil || !strings.Contains(err.Error(), `tensor "a"`) {
			t.Fatalf("three bad tensors: %v", err)
		}
	}
	for _, data := range [][]byte{nil, {1, 0}, {255, 255, 255, 255, 255, 255, 255, 255, '{'}, {5, 0, 0, 0, 0, 0, 0, 0, '{', '}'}} {
		if _, _, err := safetensors.Read(bytes.NewReader(data), int64(len(data))); !errors.Is(err, safetensors.ErrFormat) {
			t.Errorf("%v: %v", data, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"__metadata__":{"k":"v"}}`, 4))
	f.Fuzz(func(t *testing.T, data []byte) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		tensors, _, err := safetensors.Read(bytes.NewReader(data), int64(len(data)))
		runtime.ReadMemStats(&after)
		if got := after.TotalAlloc - before.TotalAlloc; got > uint64(1<<20+200*len(data)) {
			t.Errorf("%d bytes allocated for %d", got, len(data))
		}
		for _, x := range tensors {
			if err == nil && (x.Offset < 0 || x.Size < 0 || x.Offset+x.Size > int64(len(data))) {
				t.Errorf("tensor %v in %d bytes", x, len(data))
			}
		}
	})
}
