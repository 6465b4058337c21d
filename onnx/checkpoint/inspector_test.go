package checkpoint

import (
	"bytes"
	"encoding/binary"
	"math"
	"testing"

	"github.com/robust-transfer/rtx/onnx/pb"
)

// TestInspectorPieces finds a defect wherever the pieces end in which values
// come, and passes all bytes on.
func TestInspectorPieces(t *testing.T) {
	var b []byte
	for i := range 9 {
		v := float32(i)
		if i == 6 {
			v = float32(math.Inf(1))
		}
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	for size := 1; size <= len(b); size++ {
		var to bytes.Buffer
		i := &inspector{to: &to, dtype: pb.TensorProto_FLOAT, width: 4}
		for at := 0; at < len(b); at += size {
			if _, err := i.Write(b[at:min(at+size, len(b))]); err != nil {
				t.Fatal(err)
			}
		}
		if !i.found || !math.IsInf(i.value, 1) || !bytes.Equal(to.Bytes(), b) {
			t.Errorf("pieces of %d bytes: found %v, %g; %d bytes passed on", size, i.found, i.value, to.Len())
		}
	}
}
