package cli

import "github.com/robust-transfer/rtx/cli/help"

// guides are those of all verbs, by their paths.
var guides = map[string]help.Guide{
	"": {Synopsis: "rtx VERB [FLAGS] [ARGUMENTS]", Examples: []help.Example{
		{Does: "Which backbone serves a folder of images best", Line: "rtx compare resnet50_l2_eps0 resnet50_l2_eps3 -d images -o comparison"},
		{Does: "Train the better one on them, and use it", Line: "rtx finetune -m resnet50_l2_eps3 -d images -o run\nrtx predict -m run/weights/best.onnx photo.jpg"},
	}},
	"models": {Synopsis: "rtx models [PATTERN]", Examples: []help.Example{
		{Does: "Robust ResNet-50s, and which of them are in the cache", Line: "rtx models 'resnet50_l2*'"},
	}},
	"models get": {Synopsis: "rtx models get NAME... [FLAGS]", Examples: []help.Example{
		{Does: "Fetch a checkpoint, or take it from a folder that has it", Line: "rtx models get resnet50_l2_eps3\nrtx models get resnet50_l2_eps3 --from downloads"},
	}},
	"models add": {Synopsis: "rtx models add FILE [FLAGS]", Examples: []help.Example{
		{Does: "Name a checkpoint of your own", Line: "rtx models add mine.pth --name mine --arch resnet50 --eps l2:0.5"},
	}},
	"models rm": {Synopsis: "rtx models rm NAME... [FLAGS]", Examples: []help.Example{
		{Does: "Make room", Line: "rtx models rm resnet50_l2_eps0 resnet50_l2_eps5"},
	}},
	"import": {Synopsis: "rtx import CKPT -o MODEL.onnx [FLAGS]", Examples: []help.Example{
		{Does: "A checkpoint whose architecture rtx recognises", Line: "rtx import checkpoint.pth -o model.onnx"},
		{Does: "A foreign ONNX file, with what it expects of its input", Line: "rtx import foreign.onnx -o model.onnx --normalize imagenet --input-size 224"},
	}},
	"export": {Synopsis: "rtx export FILE -o OUT [FLAGS]", Examples: []help.Example{
		{Does: "Weights for PyTorch's load_state_dict", Line: "rtx export model.onnx -o model.safetensors"},
		{Does: "Feature maps for a detector", Line: "rtx export model.onnx -o pyramid.onnx --outputs c2,c3,c4,c5 --fold-bn"},
		{Does: "A detector for a server, with the configuration of Triton", Line: "rtx export detector.onnx -o 1/model.onnx --batch 8 --triton config.pbtxt"},
	}},
	"inspect": {Synopsis: "rtx inspect FILE [FLAGS]", Examples: []help.Example{
		{Does: "A model or a checkpoint", Line: "rtx inspect model.onnx"},
		{Does: "What --layer and --outputs may name", Line: "rtx inspect model.onnx --values"},
		{Does: "Whether a second reader finds the same in the file", Line: "rtx inspect model.onnx --verify"},
	}},
	"new": {Synopsis: "rtx new --arch NAME --classes N -o MODEL.onnx [FLAGS]", Examples: []help.Example{
		{Does: "A ResNet-18 for ten classes", Line: "rtx new --arch resnet18 --classes 10 -o scratch.onnx"},
	}},
	"featurize": {Synopsis: "rtx featurize -m MODEL -d DATA -o OUT [FLAGS]", Examples: []help.Example{
		{Does: "A folder of class folders", Line: "rtx featurize -m resnet50_l2_eps3 -d images -o features"},
		{Does: "A tar archive that is being made", Line: "tar -c images | rtx featurize -m resnet50_l2_eps3 -d - -o features"},
		{Does: "A quarter of the images, on the first of four machines", Line: "rtx featurize -m resnet50_l2_eps3 -d images -o features --shard 0/4"},
	}},
	"probe": {Synopsis: "rtx probe -d FEATURES -o OUT [FLAGS]", Examples: []help.Example{
		{Does: "Judge a linear classifier, and write network and classifier as one", Line: "rtx probe -d features -o probe --attach resnet50_l2_eps3"},
		{Does: "Ten images of each class, drawn five times", Line: "rtx probe -d features -o few --per-class 10 --seeds 5"},
	}},
	"compare": {Synopsis: "rtx compare MODEL... -d DATA -o OUT [FLAGS]", Examples: []help.Example{
		{Does: "A standard backbone against two robust ones", Line: "rtx compare resnet50_l2_eps0 resnet50_l2_eps0.1 resnet50_l2_eps3 -d images -o comparison"},
		{Does: "Models with input settings of their own: - {model: a.onnx, range: -1..1}", Line: "rtx compare --models models.yaml -d images -o comparison"},
		{Does: "The same backbones, as those of detectors", Line: "rtx compare --task detect resnet50_l2_eps0 resnet50_l2_eps3 -d data -o comparison"},
	}},
	"merge": {Synopsis: "rtx merge DIR... -o OUT [FLAGS]", Examples: []help.Example{
		{Does: "Shards 0 to 3 in the folder features, joined there", Line: "rtx merge features -o features"},
	}},
	"plot": {Synopsis: "rtx plot scatter|neighbours DIR -o FILE [FLAGS]\nrtx plot gradients|inversion|attack MODEL... -d IMAGES -o FILE [FLAGS]", Examples: []help.Example{
		{Does: "The samples by class", Line: "rtx plot scatter features -o scatter.svg"},
		{Does: "What the features of a standard and of a robust network hold", Line: "rtx plot inversion resnet8_std resnet8_l2_eps0.25 -d images -o inversion.png"},
	}},
	"plot scatter": {Synopsis: "rtx plot scatter DIR -o FILE [FLAGS]", Examples: []help.Example{
		{Does: "As SVG", Line: "rtx plot scatter features -o scatter.svg"},
	}},
	"plot neighbours": {Synopsis: "rtx plot neighbours DIR -o FILE [FLAGS]", Examples: []help.Example{
		{Does: "Four images and six neighbours of each", Line: "rtx plot neighbours features -o sheet.png --queries 4 --neighbours 6"},
	}},
	"plot gradients": {Synopsis: "rtx plot gradients MODEL... -d IMAGES -o FILE [FLAGS]", Examples: []help.Example{
		{Does: "Two networks side by side", Line: "rtx plot gradients resnet8_std resnet8_l2_eps0.25 -d images -o gradients.png"},
	}},
	"plot attack": {Synopsis: "rtx plot attack MODEL... -d IMAGES -o FILE [FLAGS]", Examples: []help.Example{
		{Does: "What fools a standard network, and what a robust one", Line: "rtx plot attack resnet8_std resnet8_l2_eps0.25 -d images -o attack.png --attack l2:1"},
	}},
	"plot inversion": {Synopsis: "rtx plot inversion MODEL... -d IMAGES -o FILE [FLAGS]", Examples: []help.Example{
		{Does: "A page with the last feature maps of two networks, inverted", Line: "rtx plot inversion resnet8_std resnet8_l2_eps0.25 -d images -o inversion.html"},
	}},
	"adapt": {Synopsis: "rtx adapt -m MODEL -d DATA -o MODEL.onnx [FLAGS]", Examples: []help.Example{
		{Does: "Statistics of the images at hand", Line: "rtx adapt -m resnet50_l2_eps3 -d images -o adapted.onnx"},
	}},
	"finetune": {Synopsis: "rtx finetune -m MODEL -d DATA -o RUN [FLAGS]\nrtx finetune --resume RUN", Examples: []help.Example{
		{Does: "Train the whole network", Line: "rtx finetune -m resnet50_l2_eps3 -d images -o run"},
		{Does: "The head alone, at two learning rates; the best is kept", Line: "rtx finetune -m resnet50_l2_eps3 -d images -o head --mode fixed --lr 0.01 --lr 0.1"},
	}},
	"detect": {Synopsis: "rtx detect -m MODEL -d DATA -o RUN [FLAGS]\nrtx detect --resume RUN\nrtx detect check DATA [FLAGS]", Examples: []help.Example{
		{Does: "A detector of the objects in a few hundred images, on a robust backbone", Line: "rtx detect -m resnet50_l2_eps3 -d data -o run"},
		{Does: "Mask R-CNN as torchvision trains it", Line: "rtx detect -m resnet50_l2_eps3 -d coco -o run --recipe torchvision --kind maskrcnn"},
		{Does: "Look at a data set of boxes or masks", Line: "rtx detect check data -o check"},
	}},
	"detect check": {Synopsis: "rtx detect check DATA [FLAGS]", Examples: []help.Example{
		{Does: "A folder or an archive, in whatever form, with a page of drawn samples", Line: "rtx detect check data -o check"},
		{Does: "Annotations of COCO whose images are elsewhere", Line: "rtx detect check instances_val2017.json --root val2017"},
	}},
	"eval": {Synopsis: "rtx eval -m MODEL -d DATA [-o OUT] [FLAGS]\nrtx eval --predictions P.json -d DATA [-o OUT] [FLAGS]", Examples: []help.Example{
		{Does: "On the test split, with a confusion matrix in OUT", Line: "rtx eval -m run/weights/best.onnx -d images -o evaluation"},
		{Does: "Under fifteen common corruptions, with errors relative to another model's", Line: "rtx eval -m robust.onnx -d images -o robust --corrupt all --corrupt-baseline standard/eval.json"},
		{Does: "Whether it goes by shape or by texture", Line: "rtx eval -m resnet50_l2_eps3 -d cue-conflict --groups"},
		{Does: "COCO's figures of detections in a file", Line: "rtx eval --predictions predictions.json -d instances_val2017.json"},
		{Does: "Accuracy under attack, at three radii", Line: "rtx eval -m run/weights/best.onnx -d images -o attacked --attack l2:0.25,0.5,1"},
	}},
	"predict": {Synopsis: "rtx predict -m MODEL IMAGE... [FLAGS]\nrtx predict -m MODEL -d DATA [FLAGS]", Examples: []help.Example{
		{Does: "Two images", Line: "rtx predict -m run/weights/best.onnx cat.jpg dog.jpg"},
		{Does: "A folder, into a file", Line: "rtx predict -m run/weights/best.onnx -d images -o predictions.jsonl"},
		{Does: "The objects that a detector finds, as COCO results and as pictures", Line: "rtx predict -m yolo11n.onnx -d images -o found --format coco --draw"},
	}},
	"runtime": {Synopsis: "rtx runtime install|path [FLAGS]", Examples: []help.Example{
		{Does: "Get the library", Line: "rtx runtime install"},
	}},
	"runtime install": {Synopsis: "rtx runtime install [FLAGS]", Examples: []help.Example{
		{Does: "By pip or npm, or from a downloaded wheel", Line: "rtx runtime install\nrtx runtime install --from onnxruntime.whl"},
	}},
	"runtime path": {Synopsis: "rtx runtime path [FLAGS]", Examples: []help.Example{
		{Does: "For other programs that take the same library", Line: "rtx runtime path"},
	}},
	"doctor": {Synopsis: "rtx doctor [FLAGS]", Examples: []help.Example{
		{Does: "What is missing here", Line: "rtx doctor"},
	}},
	"version": {Synopsis: "rtx version [FLAGS]", Examples: []help.Example{
		{Does: "For a report", Line: "rtx version --json"},
	}},
	"completion": {Synopsis: "rtx completion bash|zsh|fish", Examples: []help.Example{
		{Does: "In ~/.bashrc", Line: `eval "$(rtx completion bash)"`},
		{Does: "For zsh, as a file, or with eval after compinit", Line: `rtx completion zsh > "${fpath[1]}/_rtx"`},
		{Does: "For fish", Line: "rtx completion fish > ~/.config/fish/completions/rtx.fish"},
	}},
	"man": {Synopsis: "rtx man", Examples: []help.Example{
		{Does: "Read it", Line: "rtx man | man -l -"},
		{Does: "Install it", Line: "rtx man > /usr/local/share/man/man1/rtx.1"},
	}},
}
