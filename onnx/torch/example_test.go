package torch_test

import (
	"fmt"
	"log"

	"github.com/robust-transfer/rtx/onnx/torch"
)

// The network of a checkpoint that MadryLab's robustness library wrote: its
// tensors without the wrappers' prefixes and without the attacker's second copy,
// and the statistics of the normalisation module in front of it.
func Example() {
	f, err := torch.Open("testdata/robust.pt")
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()
	n, err := f.Network(-1)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(n.Layout)
	for _, t := range n.Tensors[:2] {
		data, err := t.Bytes() // row-major, little-endian; Write streams large ones
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(t.Name, t.DType, t.Dims, len(data), "bytes, was", n.Keys[t.Name])
	}
	fmt.Printf("mean %.3f, std %.3f, clamped %v\n", n.Mean, n.Std, n.Clamp)
	// Output:
	// robustness (model, module., model., attacker copy dropped, normalizer taken)
	// conv1.weight FLOAT [4 3 3 3] 432 bytes, was module.model.conv1.weight
	// bn1.weight FLOAT [4] 16 bytes, was module.model.bn1.weight
	// mean [0.485 0.456 0.406], std [0.229 0.224 0.225], clamped true
}

// What a training script saved beside the weights. The file names classes that
// are not PyTorch's; they stay inert.
func ExampleFile() {
	f, err := torch.Open("testdata/trainer_dill.pt")
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()
	for _, field := range f.Fields()[:3] {
		fmt.Println(field.Key, "=", field.Value)
	}
	args, _ := f.Value.(*torch.Dict).Get("args")
	namespace := args.(*torch.Object)
	lr, _ := namespace.State.(*torch.Dict).Get("lr")
	fmt.Println(namespace.Class, "has lr", lr)
	// Output:
	// epoch = 3
	// arch = net
	// best_acc1 = 76.5
	// argparse.Namespace has lr 0.1
}
