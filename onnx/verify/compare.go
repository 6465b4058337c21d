package verify

import (
	"fmt"
	"slices"
	"strings"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// DifferenceError says that a file does not hold the model that it should, or
// that one of the two readers is wrong about it.
type DifferenceError struct {
	Differences []Difference // one at least
}

// Error names the first differences.
func (e *DifferenceError) Error() string {
	const most = 3
	var all []string
	for _, d := range e.Differences[:min(most, len(e.Differences))] {
		all = append(all, d.String())
	}
	if more := len(e.Differences) - most; more > 0 {
		all = append(all, fmt.Sprintf("and %d more", more))
	}
	return "onnx-go reads another model: " + strings.Join(all, "; ")
}

// Difference is a part that is not the same in the model and in the file.
type Difference struct {
	Part  Part   `json:"part"`
	Name  string `json:"name"`  // of a node: its first output
	Model string `json:"model"` // what the model has; "": no such part
	File  string `json:"file"`  // what onnx-go reads; "": no such part
}

// String is a sentence without a full stop.
func (d Difference) String() string {
	switch {
	case d.File == "":
		return fmt.Sprintf("%s %q is not in the file", d.Part, d.Name)
	case d.Model == "":
		return fmt.Sprintf("%s %q is only in the file", d.Part, d.Name)
	}
	return fmt.Sprintf("%s %q is %s in the file, expected %s", d.Part, d.Name, d.File, d.Model)
}

// comparison collects what a model and a file have in common.
type comparison struct {
	model       *onnx.Model
	tensors     []onnx.Tensor    // the model's initializers
	places      map[string][]int // in tensors, by name: of those that have not been found in the file
	sources     map[string]bool  // nodes of the file that have no inputs
	result      *Result
	differences []Difference
}

func newComparison(m *onnx.Model) *comparison {
	c := &comparison{model: m, tensors: m.Tensors(), places: map[string][]int{}, sources: map[string]bool{}, result: &Result{Undecoded: []Undecoded{}}}
	for i, t := range c.tensors {
		c.places[t.Name] = append(c.places[t.Name], i)
	}
	return c
}

func (c *comparison) undecoded(part Part, name, why string) {
	c.result.Undecoded = append(c.result.Undecoded, Undecoded{part, name, why})
}

func (c *comparison) differ(part Part, name, model, file string) {
	c.differences = append(c.differences, Difference{part, name, model, file})
}

// next is the model's initializer of a name; of several, the first that has not
// been returned yet.
func (c *comparison) next(name string) (onnx.Tensor, bool) {
	at := c.places[name]
	if len(at) == 0 {
		return onnx.Tensor{}, false
	}
	c.places[name] = at[1:]
	return c.tensors[at[0]], true
}

// weight compares an initializer that onnx-go has decoded.
func (c *comparison) weight(file array) error {
	t, ok := c.next(file.name)
	if !ok {
		c.differ(Weight, file.name, "", file.String())
		return nil
	}
	c.result.Weights++
	if model := (array{dtype: dtypes[t.DType], dims: t.Dims}); !model.sameType(file) {
		c.differ(Weight, file.name, model.typed(), file.typed())
		return nil
	}
	model, err := arrayOfTensor(t)
	if err != nil {
		return err
	}
	c.result.WeightBytes += file.bytes
	if !model.equal(file) {
		c.differ(Weight, file.name, model.String(), file.String())
	}
	return nil
}

// undecodedWeight notes an initializer of the file whose values cannot be
// compared, and compares its type and dimensions.
func (c *comparison) undecodedWeight(file head, why string) {
	c.undecoded(Weight, file.name, why)
	about := func(dtype pb.TensorProto_DataType, dims []int64) string { return fmt.Sprintf("%s %d", dtype, dims) }
	if t, ok := c.next(file.name); !ok {
		c.differ(Weight, file.name, "", about(file.dtype, file.dims))
	} else if t.DType != file.dtype || !slices.Equal(t.Dims, file.dims) {
		c.differ(Weight, file.name, about(t.DType, t.Dims), about(file.dtype, file.dims))
	}
}

// values compares inputs or outputs.
func (c *comparison) values(part Part, model []*pb.ValueInfoProto, file []array, skip map[Undecoded]bool) {
	model = slices.DeleteFunc(slices.Clone(model), func(p *pb.ValueInfoProto) bool { return skip[Undecoded{Part: part, Name: p.Name}] })
	for i := range max(len(model), len(file)) {
		switch {
		case i >= len(file):
			c.differ(part, model[i].Name, "an "+string(part), "")
			continue
		case i >= len(model):
			c.differ(part, file[i].name, "", "an "+string(part))
			continue
		case model[i].Name != file[i].name:
			c.differ(part, fmt.Sprint(i), model[i].Name, file[i].name)
			continue
		}
		if part == Input {
			c.result.Inputs++
		} else {
			c.result.Outputs++
		}
		p := model[i]
		if undecodableValue(p) != "" && file[i].dtype.Type == nil {
			continue // named as undecoded
		}
		want := array{dims: fixedDims(p)}
		if p.Type != nil {
			want.dtype = dtypes[pb.TensorProto_DataType(p.Type.GetTensorType().GetElemType())]
		}
		if !want.sameType(file[i]) {
			c.differ(part, p.Name, want.typed(), file[i].typed())
		}
	}
}

// finish adds the weights that the file lacks, and what onnx-go never returns.
func (c *comparison) finish() (*Result, error) {
	for i, t := range c.tensors {
		if slices.Contains(c.places[t.Name], i) {
			c.differ(Weight, t.Name, fmt.Sprintf("%s %d", t.DType, t.Dims), "")
		}
	}
	c.around()
	if len(c.differences) > 0 {
		return c.result, &DifferenceError{c.differences}
	}
	return c.result, nil
}
