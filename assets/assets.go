// Package assets holds the data that ship with rtx: the catalogue of released
// checkpoints, with where they lie and what was published about them, and three
// small backbones for the demo. It is data alone, and imports nothing of rtx.
//
//	for _, c := range assets.Checkpoints() {
//		fmt.Println(c.Name, c.Arch, c.Norm, c.Eps, c.Top1, c.URL)
//	}
//
//	model, err := assets.Backbones.ReadFile("backbones/resnet8_std.onnx")
//
// Nothing is downloaded. Packages assets/shapes and assets/photos draw images for
// demos, tests and benchmarks.
package assets

import "embed"

// Backbones holds the bundled backbones, ONNX files "backbones/NAME.onnx": ResNet-8
// networks for images of 32x32, trained on CIFAR-10, with outputs logits [N,10]
// and features [N,96]. One had standard training, one adversarial training (L2,
// eps 0.25), and one, the control, training with Gaussian noise. They show how
// things work and are no substitute for ImageNet's.
//
//go:embed backbones/*.onnx
var Backbones embed.FS
