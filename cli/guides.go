package cli

// guide tells how a verb is called.
type guide struct {
	synopsis string // a line for each way
	examples []example
}

// example is a command line and what it does.
type example struct{ does, line string }

// guides are those of all verbs, by their paths.
var guides = map[string]guide{
	"": {"rtx VERB [FLAGS] [ARGUMENTS]", []example{
		{"Which backbone serves a folder of images best", "rtx compare resnet50_l2_eps0 resnet50_l2_eps3 -d images -o comparison"},
		{"Train the better one on them, and use it", "rtx finetune -m resnet50_l2_eps3 -d images -o run\nrtx predict -m run/weights/best.onnx photo.jpg"},
	}},
	"models": {"rtx models [PATTERN]", []example{
		{"Robust ResNet-50s, and which of them are in the cache", "rtx models 'resnet50_l2*'"},
	}},
	"models get": {"rtx models get NAME... [FLAGS]", []example{
		{"Fetch a checkpoint, or take it from a folder that has it", "rtx models get resnet50_l2_eps3\nrtx models get resnet50_l2_eps3 --from downloads"},
	}},
	"models add": {"rtx models add FILE [FLAGS]", []example{
		{"Name a checkpoint of your own", "rtx models add mine.pth --name mine --arch resnet50 --eps l2:0.5"},
	}},
	"import": {"rtx import CKPT -o MODEL.onnx [FLAGS]", []example{
		{"A checkpoint whose architecture rtx recognises", "rtx import checkpoint.pth -o model.onnx"},
		{"A foreign ONNX file, with what it expects of its input", "rtx import foreign.onnx -o model.onnx --normalize imagenet --input-size 224"},
	}},
	"export": {"rtx export FILE -o OUT [FLAGS]", []example{
		{"Weights for PyTorch's load_state_dict", "rtx export model.onnx -o model.safetensors"},
		{"Feature maps for a detector", "rtx export model.onnx -o pyramid.onnx --outputs c2,c3,c4,c5 --fold-bn"},
	}},
	"inspect": {"rtx inspect FILE [FLAGS]", []example{
		{"A model or a checkpoint", "rtx inspect model.onnx"},
		{"Whether a second reader finds the same in the file", "rtx inspect model.onnx --verify"},
	}},
	"new": {"rtx new --arch NAME --classes N -o MODEL.onnx [FLAGS]", []example{
		{"A ResNet-18 for ten classes", "rtx new --arch resnet18 --classes 10 -o scratch.onnx"},
	}},
	"featurize": {"rtx featurize -m MODEL -d DATA -o OUT [FLAGS]", []example{
		{"A folder of class folders", "rtx featurize -m resnet50_l2_eps3 -d images -o features"},
		{"A tar archive that is being made", "tar -c images | rtx featurize -m resnet50_l2_eps3 -d - -o features"},
		{"A quarter of the images, on the first of four machines", "rtx featurize -m resnet50_l2_eps3 -d images -o features --shard 0/4"},
	}},
	"probe": {"rtx probe -d FEATURES -o OUT [FLAGS]", []example{
		{"Judge a linear classifier, and write network and classifier as one", "rtx probe -d features -o probe --attach resnet50_l2_eps3"},
		{"Ten images of each class, drawn five times", "rtx probe -d features -o few --per-class 10 --seeds 5"},
	}},
	"compare": {"rtx compare MODEL... -d DATA -o OUT [FLAGS]", []example{
		{"A standard backbone against two robust ones", "rtx compare resnet50_l2_eps0 resnet50_l2_eps0.1 resnet50_l2_eps3 -d images -o comparison"},
	}},
	"merge": {"rtx merge DIR... -o OUT [FLAGS]", []example{
		{"Shards 0 to 3 in the folder features, joined there", "rtx merge features -o features"},
	}},
	"plot": {"rtx plot scatter|neighbours DIR -o FILE [FLAGS]", []example{
		{"The samples by class", "rtx plot scatter features -o scatter.svg"},
	}},
	"plot scatter": {"rtx plot scatter DIR -o FILE [FLAGS]", []example{
		{"As SVG", "rtx plot scatter features -o scatter.svg"},
	}},
	"plot neighbours": {"rtx plot neighbours DIR -o FILE [FLAGS]", []example{
		{"Four images and six neighbours of each", "rtx plot neighbours features -o sheet.png --queries 4 --neighbours 6"},
	}},
	"adapt": {"rtx adapt -m MODEL -d DATA -o MODEL.onnx [FLAGS]", []example{
		{"Statistics of the images at hand", "rtx adapt -m resnet50_l2_eps3 -d images -o adapted.onnx"},
	}},
	"finetune": {"rtx finetune -m MODEL -d DATA -o RUN [FLAGS]\nrtx finetune --resume RUN", []example{
		{"Train the whole network, for 20 epochs", "rtx finetune -m resnet50_l2_eps3 -d images -o run"},
		{"The head alone, at two learning rates; the best is kept", "rtx finetune -m resnet50_l2_eps3 -d images -o head --mode fixed --lr 0.01 --lr 0.1"},
	}},
	"eval": {"rtx eval -m MODEL -d DATA [-o OUT] [FLAGS]", []example{
		{"On the test split, with a confusion matrix in OUT", "rtx eval -m run/weights/best.onnx -d images -o evaluation"},
	}},
	"predict": {"rtx predict -m MODEL IMAGE... [FLAGS]\nrtx predict -m MODEL -d DATA [FLAGS]", []example{
		{"Two images", "rtx predict -m run/weights/best.onnx cat.jpg dog.jpg"},
		{"A folder, into a file", "rtx predict -m run/weights/best.onnx -d images -o predictions.jsonl"},
	}},
	"runtime": {"rtx runtime install|path [FLAGS]", []example{
		{"Get the library", "rtx runtime install"},
	}},
	"runtime install": {"rtx runtime install [FLAGS]", []example{
		{"By pip or npm, or from a downloaded wheel", "rtx runtime install\nrtx runtime install --from onnxruntime.whl"},
	}},
	"runtime path": {"rtx runtime path [FLAGS]", []example{
		{"For other programs that take the same library", "rtx runtime path"},
	}},
	"doctor": {"rtx doctor [FLAGS]", []example{
		{"What is missing here", "rtx doctor"},
	}},
	"version": {"rtx version [FLAGS]", []example{
		{"For a report", "rtx version --json"},
	}},
	"completion": {"rtx completion bash|zsh|fish", []example{
		{"In ~/.bashrc", `eval "$(rtx completion bash)"`},
		{"For zsh, as a file, or with eval after compinit", `rtx completion zsh > "${fpath[1]}/_rtx"`},
		{"For fish", "rtx completion fish > ~/.config/fish/completions/rtx.fish"},
	}},
	"man": {"rtx man", []example{
		{"Read it", "rtx man | man -l -"},
		{"Install it", "rtx man > /usr/local/share/man/man1/rtx.1"},
	}},
}
