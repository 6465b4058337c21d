package arch

import (
	"github.com/robust-transfer/rtx/onnx"
)

// recognize returns the detector's name.
func (f found) recognize() (string, error) {
	_, mismatch, err := f.compare()
	if err != nil {
		return "", err
	}
	if mismatch != nil {
		return "", mismatch
	}
	return f.name(), nil
}

// detectorWeights gives the state_dict of a detector back. The model may have more
// initializers than those of the layers.
func detectorWeights(m *onnx.Model, s onnx.Spec) ([]onnx.Tensor, error) {
	all := m.Tensors()
	sh := shapesOf(all, dialect{}, "")
	d := sh.detector(sh.kind())
	d.body.msra = true // names and shapes are the same
	b, err := d.define()
	if err != nil {
		return nil, err
	}
	a := d.architecture()
	a.name = s.Arch
	if s.Detect.Background == "last" {
		layers := map[string]string{} // parameters by their names in the checkpoint
		for _, p := range b.params {
			name := p.name
			if source := s.SourceNames[name]; source != "" {
				name = source
			}
			layers[name] = p.name
		}
		plain := s
		plain.Extra = nil
		out, err := a.weights(b, all, plain)
		if err != nil {
			return nil, err
		}
		for i, t := range out {
			out[i] = backgroundLast(t, layers[t.Name])
		}
		return withExtra(out, s.Extra)
	}
	return a.weights(b, all, s)
}
