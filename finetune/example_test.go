package finetune_test

import (
	"bytes"
	"context"
	"fmt"
	"log"

	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/classify"
	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/finetune/tape"
	"github.com/robust-transfer/rtx/onnx/arch"
)

// greys is 16 dark and 16 light images of 8x8. Package augment has the Data for
// folders of images.
type greys struct{}

func (greys) Rows(s finetune.Split) int { return 32 }

func (greys) Load(_ context.Context, _ finetune.Split, _ int, b *finetune.Batch) error {
	images := b.Input(graph.Images, 3*8*8)
	for i, row := range b.Rows {
		for k := range 3 * 8 * 8 {
			images[i*3*8*8+k] = float32(row)/100 + .6*float32(row%2)
		}
		b.Truth[i] = row % 2
	}
	return nil
}

// Fine-tune all of a network on the pure Go executor. The same code runs on
// onnxruntime with the executor of finetune/lower.
func Example() {
	model, err := arch.Untrained("resnet8", 2, 1, arch.Config{InputSize: [2]int{8, 8}})
	if err != nil { // usually the model is one of onnx.Load or checkpoint.Import
		log.Fatal(err)
	}
	net, err := graph.Read(model)
	if err != nil {
		log.Fatal(err)
	}
	x := &tape.Executor[float32]{}
	defer x.Close()
	result, err := finetune.Train(context.Background(), net, x, classify.Task{LabelSmoothing: .1}, greys{}, finetune.Config{
		Epochs: 4, BatchSize: 8, LearningRate: .05,
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s after %d steps, best top-1 %.0f %%\n", result.Stop, result.Steps, 100*result.Best.Figure(classify.Top1))
	var file bytes.Buffer // or result.BestModel.Save("best.onnx")
	if err := result.BestModel.Write(&file); err != nil {
		log.Fatal(err)
	}
	fmt.Println("wrote the best model:", file.Len() > 100_000)
	// Output:
	// done after 16 steps, best top-1 100 %
	// wrote the best model: true
}

// Re-estimate the running statistics of batch norms on other images, without
// labels; the weights stay as they are.
func ExampleAdapt() {
	model, err := arch.Untrained("resnet8", 2, 1, arch.Config{InputSize: [2]int{8, 8}})
	if err != nil {
		log.Fatal(err)
	}
	net, err := graph.Read(model)
	if err != nil {
		log.Fatal(err)
	}
	x := &tape.Executor[float32]{}
	defer x.Close()
	if err := finetune.Load(net, x); err != nil {
		log.Fatal(err)
	}
	if err := finetune.Adapt(context.Background(), net, x, greys{}, finetune.AdaptConfig{BatchSize: 8}); err != nil {
		log.Fatal(err)
	}
	adapted, err := net.Export(func(name string, dst []float32) error { return x.Read(graph.Variable{Name: name}, dst) })
	if err != nil {
		log.Fatal(err)
	}
	for _, p := range net.Params()[:5] {
		before, _ := net.Values(p.Name)
		after, _ := adapted.Floats(p.Name)
		fmt.Printf("%s changed: %t\n", p.Name, before[0] != after[0])
	}
	// Output:
	// conv.weight changed: false
	// bn.weight changed: false
	// bn.bias changed: false
	// bn.running_mean changed: true
	// bn.running_var changed: true
}
