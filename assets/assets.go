// Package assets holds data that ships with rtx: the backbones of the demo.
package assets

import "embed"

// Backbones are ResNet-8 networks of 32x32 images, trained on CIFAR-10: ONNX
// files with outputs logits [N,10] and features [N,96].
//
//go:embed backbones/*.onnx
var Backbones embed.FS

// Backbone describes one file of Backbones.
type Backbone struct {
	Name  string
	Title string
	Norm  string  // of the adversary it was trained against, "" for none
	Eps   float64 // in units of [0,1] pixels
}

// File is the backbone's path in Backbones.
func (b Backbone) File() string { return "backbones/" + b.Name + ".onnx" }

// Demo lists the backbones that the demo compares.
var Demo = []Backbone{
	{Name: "resnet8_std", Title: "standard training"},
	{Name: "resnet8_l2_eps0.25", Title: "adversarial training, L2 eps 0.25", Norm: "l2", Eps: 0.25},
	{Name: "resnet8_noiseaug", Title: "training with Gaussian noise, the control"},
}
