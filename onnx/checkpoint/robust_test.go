package checkpoint

import (
	"testing"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/torch"
)

// TestStoredRobustness reads the accuracy under attack that training programs store.
func TestStoredRobustness(t *testing.T) {
	for _, c := range []struct {
		key   string
		value any
		want  float64
	}{
		{"test_robust_acc", 0.5674, 0.5674}, {"adv_prec1", 51.25, 0.5125}, {"robust_top1", int64(45), 0.45},
		{"test_acc", 0.9, 0}, {"robust_loss", 0.9, 0}, {"test_robust_acc", 0.0001, 0}, {"test_robust_acc", "0.5", 0}, {"test_robust_acc", 300.0, 0},
	} {
		var got onnx.Robustness
		if r := storedRobustness([]torch.Field{{Key: "epoch", Value: int64(3)}, {Key: c.key, Value: c.value}}, 10); r != nil {
			got = *r
		}
		if got != (onnx.Robustness{Accuracy: c.want}) {
			t.Errorf("%s %v: %+v, want accuracy %v", c.key, c.value, got, c.want)
		}
	}
}
