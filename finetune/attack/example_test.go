package attack_test

import (
	"context"
	"fmt"
	"log"

	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/attack"
	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/finetune/tape"
	"github.com/robust-transfer/rtx/onnx"
)

// A bundled backbone takes images of a single grey for airplanes, class 0, and is fooled
// in one and two steps of length 0.25.
func Example() {
	model, err := onnx.Load("../../assets/backbones/resnet8_std.onnx")
	if err != nil {
		log.Fatal(err)
	}
	net, err := graph.Read(model)
	if err != nil {
		log.Fatal(err)
	}
	x := &tape.Executor[float32]{} // finetune/lower is many times faster
	defer x.Close()
	if err := finetune.Load(net, x); err != nil {
		log.Fatal(err)
	}
	a, err := attack.New(net, x, attack.Options{Batch: 2})
	if err != nil {
		log.Fatal(err)
	}
	grey := func(v float32) []float32 {
		image := make([]float32, 3*32*32)
		for i := range image {
			image[i] = v
		}
		return image
	}
	rows := func(yield func(attack.Row, error) bool) {
		_ = yield(attack.Row{ID: 0, Image: grey(.5), Label: 0}, nil) && yield(attack.Row{ID: 1, Image: grey(.9), Label: 0}, nil)
	}
	threat, err := attack.ParseThreat("l2:0.5")
	if err != nil {
		log.Fatal(err)
	}
	for o, err := range a.Attack(context.Background(), rows, attack.Config{Threat: threat, Steps: 5}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("row %d: right %v, robust %v, class %d at distance %.2f\n", o.Row, o.Clean, o.Robust, o.Predicted, o.Distance)
	}
	// Output:
	// row 0: right true, robust false, class 8 at distance 0.25
	// row 1: right true, robust false, class 3 at distance 0.44
}
