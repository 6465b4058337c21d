package runtime

import (
	"context"
	"errors"

	"github.com/robust-transfer/rtx/onnx"
)

// DefaultBatch is the number of images that a network runs at a time where
// ImagesConfig does not say.
const DefaultBatch = 32

// ImagesConfig says what a model computes of images.
type ImagesConfig struct {
	Value     string // a value of the graph; "": the model's features
	Pool      bool   // average a map [N,C,H,W] over H and W
	BatchSize int    // images at a time; 0: DefaultBatch
}

// Images is a model ready to run over images. Its method Run, which is that of
// the Session, takes uint8 [n,H,W,3] in RGB, of the Spec's input size, to float32
// [n,Row...]; it is what package featurize asks of a network.
type Images struct {
	*Session
	BatchSize int   // images at a time: as many as were asked for, or the only number that the model takes or that gives each image its own numbers
	Row       []int // shape of what is computed of one image
}

// OpenImages makes a session of a model for images as its Spec describes them.
// spec is that of the model, or one that knows better.
//
// It computes a batch of zeros to learn the shape of the output, and makes up for
// what files leave open: where Pool is set and only the result shows that the
// value is a map, the session is opened again with the pooling in its graph; where
// the model's file has a fixed batch size, and a batch of another size fails, that
// size is taken. A model whose numbers of one image depend on the other images of the
// batch ([onnx.Model.BatchDependent]) runs over one image at a time.
//
// Errors wrap [onnx.ErrInputs] where images are not enough, [onnx.ErrSpec] where
// the model does not take what the Spec describes, or are an [*onnx.ValueError]
// where the graph has no such value; all others are those of [Open].
func OpenImages(ctx context.Context, m *onnx.Model, spec onnx.Spec, c ImagesConfig, o Options) (*Images, error) {
	if c.BatchSize == 0 {
		c.BatchSize = DefaultBatch
	}
	if m.BatchDependent() {
		c.BatchSize = 1
	}
	if c.Value == "" {
		var err error
		if c.Value, err = m.Feature(spec); err != nil {
			return nil, err
		}
	}
	images, err := openImages(ctx, m, spec, c, o)
	if err != nil || !c.Pool || len(images.Row) != 3 {
		return images, err
	}
	if err := images.Close(); err != nil {
		return nil, err
	}
	c.BatchSize = images.BatchSize
	return openImages(ctx, m.WithRank(c.Value, 4), spec, c, o)
}

func openImages(ctx context.Context, m *onnx.Model, spec onnx.Spec, c ImagesConfig, o Options) (*Images, error) {
	g, err := m.ForImages(spec, onnx.ImageConfig{Outputs: []string{c.Value}, Pool: c.Pool})
	if err != nil {
		return nil, err
	}
	s, err := Open(g, o)
	if err != nil {
		return nil, err
	}
	images := &Images{Session: s, BatchSize: c.BatchSize}
	dims, err := s.Dims(ctx, c.BatchSize)
	if size := m.FixedBatch(); errors.Is(err, ErrModel) && size > 0 && size != c.BatchSize {
		images.BatchSize = size
		dims, err = s.Dims(ctx, size)
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	images.Row = dims[0][1:]
	return images, nil
}

// RowSize is the number of values that are computed of one image.
func (i *Images) RowSize() int {
	n := 1
	for _, d := range i.Row {
		n *= d
	}
	return n
}

// DeclareRank returns the model with the number of dimensions of value declared.
// Where its file does not say it, a session computes the value of one image.
func DeclareRank(ctx context.Context, m *onnx.Model, spec onnx.Spec, value string, o Options) (*onnx.Model, error) {
	if m.Rank(value) >= 0 {
		return m, nil
	}
	images, err := OpenImages(ctx, m, spec, ImagesConfig{Value: value, BatchSize: 1}, o)
	if err != nil {
		return nil, err
	}
	return m.WithRank(value, 1+len(images.Row)), images.Close()
}
