// Command rtx does transfer learning with robust backbones: it computes features of
// images, trains and compares classifiers on them, and fine-tunes networks.
//
//	rtx compare resnet8_std resnet8_noiseaug -d images -o comparison
//	rtx finetune -m resnet8_std -d images -o run
//	rtx predict -m run/weights/best.onnx photo.jpg
//
// Here images is a folder with a folder of images for each class. rtx --help lists
// the verbs, rtx VERB --help the flags of one.
package main

import (
	"os"

	"github.com/robust-transfer/rtx/cli"
)

func main() {
	os.Exit(cli.Main(os.Args[1:], os.Stdout, os.Stderr))
}
