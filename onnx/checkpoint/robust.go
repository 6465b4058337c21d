package checkpoint

import (
	"strings"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/torch"
)

// storedRobustness is what the fields of a checkpoint tell of adversarial training,
// nil for nothing: a field such as test_robust_acc or adv_top1 that holds an accuracy
// under attack, as a fraction or in percent. An accuracy of a guess among the classes
// or less tells of no robustness. The threat model stays unknown.
func storedRobustness(fields []torch.Field, classes int) *onnx.Robustness {
	for _, f := range fields {
		key := strings.ToLower(f.Key)
		attacked := strings.Contains(key, "robust") || strings.Contains(key, "adv")
		accuracy := strings.Contains(key, "acc") || strings.Contains(key, "top1") || strings.Contains(key, "prec1")
		if !attacked || !accuracy {
			continue
		}
		var x float64
		switch v := f.Value.(type) {
		case float64:
			x = v
		case int64:
			x = float64(v)
		}
		if x > 1 {
			x /= 100
		}
		if classes > 0 && x > 1/float64(classes) && x <= 1 {
			return &onnx.Robustness{Accuracy: x}
		}
	}
	return nil
}
