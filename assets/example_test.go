package assets_test

import (
	"fmt"
	"log"

	"github.com/robust-transfer/rtx/assets"
)

// The robust ResNet-50s of the catalogue with an L2 eps of 1 or more, and the file
// of a bundled backbone.
func Example() {
	for _, c := range assets.Checkpoints() {
		if c.Arch == "resnet50" && c.Norm == "l2" && c.Eps >= 1 {
			fmt.Printf("%s: %.2f %% on ImageNet, %d classes\n", c.Name, 100*c.Top1, c.Classes)
		}
	}
	model, err := assets.Backbones.ReadFile("backbones/resnet8_std.onnx")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(model)/1000, "kB")
	// Output:
	// resnet50_l2_eps1: 70.43 % on ImageNet, 1000 classes
	// resnet50_l2_eps3: 62.83 % on ImageNet, 1000 classes
	// resnet50_l2_eps5: 56.13 % on ImageNet, 1000 classes
	// 707 kB
}
