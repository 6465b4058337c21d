package finetune

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"slices"
	"strings"

	"github.com/robust-transfer/rtx/featurize/output"
	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/onnx/safetensors"
)

// stateVersion is the version of the JSON and of the tensor names.
const stateVersion = "rtx.state/2"

// FileStore keeps a State in a .safetensors file of this name. Tensors are named
// "SLOT/NAME" after their variables, or "best/NAME"; all else is JSON in the
// header's metadata, under "state". It is replaced as a whole, by
// output.WriteFile. Only one process may write to a name at a time.
type FileStore string

// Save writes the file, a tensor at a time.
func (f FileStore) Save(s *State) error {
	err := output.WriteFile(context.Background(), string(f), func(w io.Writer) error { return writeState(w, s) })
	if err != nil {
		return fmt.Errorf("finetune: save the state: %w", err)
	}
	return nil
}

// best replaces the slot in the names of tensors of the best epoch.
const best = "best"

func tensorName(t Tensor) string {
	if t.Best {
		return best + "/" + t.Name
	}
	return t.Slot.String() + "/" + t.Name
}

func parseTensor(text string) (t Tensor, err error) {
	slot, name, _ := strings.Cut(text, "/")
	if t.Name = name; slot == best {
		t.Best = true
		return t, nil
	}
	t.Slot, err = graph.ParseSlot(slot)
	return t, err
}

func writeState(w io.Writer, s *State) error {
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	list := make([]safetensors.Tensor, len(s.Tensors))
	for i, t := range s.Tensors {
		list[i] = safetensors.Tensor{Name: tensorName(t), DType: "F32", Shape: append([]int{}, t.Shape...)}
	}
	return writeTensors(w, list, map[string]string{"version": stateVersion, "state": string(text)}, func(i int, dst []float32) error {
		return s.Read(s.Tensors[i], dst)
	})
}

// writeTensors writes float32 tensors as .safetensors, one at a time.
func writeTensors(w io.Writer, list []safetensors.Tensor, metadata map[string]string, read func(i int, dst []float32) error) error {
	header, err := safetensors.Header(list, metadata)
	if err != nil {
		return err
	}
	if _, err := w.Write(header); err != nil {
		return err
	}
	for i, t := range list {
		values := make([]float32, graph.Shape(t.Shape).Size())
		if err := read(i, values); err != nil {
			return err
		}
		if err := binary.Write(w, binary.LittleEndian, values); err != nil {
			return err
		}
	}
	return nil
}

// Load reads the header. State.Read reads the values.
func (f FileStore) Load() (*State, error) {
	s, err := f.load()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNoState
	}
	if err != nil {
		return nil, fmt.Errorf("finetune: the saved state %q: %w", string(f), err)
	}
	return s, nil
}

func (f FileStore) load() (*State, error) {
	file, err := os.Open(string(f))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	list, metadata, err := safetensors.Read(file, info.Size())
	if err != nil {
		return nil, err
	}
	if v := metadata["version"]; v != stateVersion {
		return nil, fmt.Errorf("version %q, expected %q", v, stateVersion)
	}
	s := &State{}
	if err := json.Unmarshal([]byte(metadata["state"]), s); err != nil {
		return nil, err
	}
	for _, t := range list {
		if t.DType != "F32" {
			return nil, fmt.Errorf("tensor %q is of type %s, expected F32", t.Name, t.DType)
		}
		tensor, err := parseTensor(t.Name)
		if err != nil {
			return nil, err
		}
		tensor.Shape = t.Shape
		s.Tensors = append(s.Tensors, tensor)
	}
	s.Read = func(t Tensor, dst []float32) error {
		name := tensorName(t)
		i := slices.IndexFunc(list, func(t safetensors.Tensor) bool { return t.Name == name })
		if i < 0 || list[i].Size != 4*int64(len(dst)) {
			return fmt.Errorf("finetune: the saved state %q has no tensor %q of %d values", string(f), name, len(dst))
		}
		raw := make([]byte, list[i].Size)
		file, err := os.Open(string(f))
		if err == nil {
			defer file.Close()
			_, err = file.ReadAt(raw, list[i].Offset)
		}
		if err != nil {
			return fmt.Errorf("finetune: the saved state %q: tensor %q: %w", string(f), name, err)
		}
		for k := range dst {
			dst[k] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*k:]))
		}
		return nil
	}
	return s, nil
}
