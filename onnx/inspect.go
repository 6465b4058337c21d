package onnx

import (
	"path/filepath"
	"strings"

	"github.com/robust-transfer/rtx/onnx/pb"
)

// Info is what is known of a model without running it.
type Info struct {
	File       string            `json:"file"`
	SHA256     string            `json:"sha256"`
	Producer   string            `json:"producer"`
	IRVersion  int64             `json:"ir_version"`
	Opsets     map[string]int64  `json:"opsets"` // the standard domain is "ai.onnx"
	Inputs     []ValueInfo       `json:"inputs"`
	Outputs    []ValueInfo       `json:"outputs"`
	Operators  map[string]int    `json:"operators"`
	Nodes      int               `json:"nodes"`
	Parameters int64             `json:"parameters"`
	Bytes      int64             `json:"weight_bytes"`
	BatchNorms int               `json:"batch_norms"`
	Feature    string            `json:"feature,omitempty"`
	Classifier *ClassOutput      `json:"classifier,omitempty"` // nil: it has no scores of classes
	Detector   string            `json:"detector,omitempty"`   // what tells that it is an object detector
	Spec       *Spec             `json:"spec"`
	Assumed    []string          `json:"assumed"` // empty where the file has a Spec
	Metadata   map[string]string `json:"metadata"`
	Problems   []string          `json:"problems"`
}

// ValueInfo is an input or output. An open dimension is its name or "?".
type ValueInfo struct {
	Name  string   `json:"name"`
	DType string   `json:"dtype"`
	Shape []string `json:"shape"`
}

// Inspect collects what is known of the model.
func (m *Model) Inspect() Info {
	p, g := m.Proto, m.Proto.Graph
	i := Info{
		Producer: strings.TrimSpace(p.ProducerName + " " + p.ProducerVersion), IRVersion: p.IrVersion,
		Opsets: map[string]int64{}, Operators: map[string]int{}, Metadata: map[string]string{}, Nodes: len(g.Node),
		Assumed: []string{}, Problems: append([]string{}, m.Validate()...),
	}
	if m.path != "" {
		i.File = filepath.Base(m.path)
		if sum, err := m.SHA256(); err == nil {
			i.SHA256 = sum
		}
	}
	for _, o := range p.OpsetImport {
		domain := o.Domain
		if domain == "" {
			domain = "ai.onnx"
		}
		i.Opsets[domain] = o.Version
	}
	for _, v := range m.Inputs() {
		i.Inputs = append(i.Inputs, infoOf(v))
	}
	for _, v := range m.Outputs() {
		i.Outputs = append(i.Outputs, infoOf(v))
	}
	for _, n := range g.Node {
		i.Operators[n.OpType]++
	}
	i.BatchNorms = i.Operators["BatchNormalization"]
	i.Parameters, i.Bytes = m.Parameters()
	for _, e := range p.MetadataProps {
		if e.Key != SpecKey {
			i.Metadata[e.Key] = e.Value
		}
	}
	i.Detector = m.Detector()
	if f, err := m.FeatureValue(); err == nil && !m.detects() {
		i.Feature = f
	} else if err != nil && i.Detector == "" && !m.onlyMaps() {
		i.Problems = append(i.Problems, strings.TrimPrefix(err.Error(), "onnx: "))
	}
	if o, err := m.ClassOutput(); err == nil && !m.detects() {
		i.Classifier = &o
	}
	if s, assumed, err := m.Spec(); err == nil {
		i.Spec, i.Assumed = &s, append(i.Assumed, assumed...)
	} else {
		i.Problems = append(i.Problems, strings.TrimPrefix(err.Error(), "onnx: "))
	}
	return i
}

// onlyMaps reports whether all outputs are feature maps, as those of a pyramid are.
func (m *Model) onlyMaps() bool {
	for _, v := range m.Outputs() {
		if len(v.Shape) != 4 {
			return false
		}
	}
	return len(m.Outputs()) > 0
}

// Parameters counts the numbers in the model's initializers, and the bytes that they
// take up.
func (m *Model) Parameters() (n, bytes int64) {
	for _, t := range m.Proto.Graph.Initializer {
		if e := elements(t.Dims); e > 0 {
			n += e
			bytes += (e*elementBits[pb.TensorProto_DataType(t.DataType)] + 7) / 8
		}
	}
	return n, bytes
}

func infoOf(v Value) ValueInfo {
	return ValueInfo{Name: v.Name, DType: strings.ToLower(v.DType.String()), Shape: v.ShapeStrings()}
}
