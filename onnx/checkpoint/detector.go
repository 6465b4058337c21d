package checkpoint

import (
	"errors"
	"slices"
	"strings"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/arch"
)

// isDetector tells whether an error says that tensors are those of a detector, whose
// trunk must not be taken for the network.
func isDetector(err error) bool {
	var mismatch *arch.Mismatch
	var unbuilt *arch.Unbuilt
	return errors.As(err, &mismatch) && mismatch.Detector || errors.As(err, &unbuilt)
}

// classCount is the number of classes that a model tells apart: of logits, or of those
// that a detector finds.
func classCount(m *onnx.Model, s onnx.Spec) int {
	if s.Detect != nil {
		return len(s.Detect.Classes)
	}
	return m.ClassCount()
}

// releasedForNoEps are the beginnings of the SHA-256 of the files that torchvision
// released for frozen batch norms without an epsilon, as their names have them:
// fasterrcnn_resnet50_fpn_coco-258fb6c6.pth, maskrcnn_resnet50_fpn_coco-bf2d0c1e.pth
// and retinanet_resnet50_fpn_coco-eeacb38b.pth. torchvision sets it to 0 where it
// loads these, and only these.
var releasedForNoEps = []string{"258fb6c6", "bf2d0c1e", "eeacb38b"}

// releasedEps is the epsilon that the file was released for, nil where it is none of
// those.
func (c *Checkpoint) releasedEps() (*float64, error) {
	sum, err := c.SHA256()
	if err == nil && slices.ContainsFunc(releasedForNoEps, func(s string) bool { return strings.HasPrefix(sum, s) }) {
		return new(float64), nil
	}
	return nil, err
}

// withStride is the name of a detector of Detectron2 with the stride of bottlenecks
// where the author of the file says that its weights have it: those that were converted
// from torchvision have it in the 3x3 convolution.
func (c *Checkpoint) withStride(name string) string {
	for _, f := range c.File.Fields() {
		if author, ok := f.Value.(string); ok && f.Key == "__author__" && strings.EqualFold(author, "torchvision") {
			return strings.Replace(name, "_msra_", "_", 1)
		}
	}
	return name
}
