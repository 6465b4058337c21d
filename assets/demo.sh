# The demo: three backbones look at a folder of images. Called by `make demo`.
set -euo pipefail
data=${1:-}
start=$SECONDS
run() { echo "+ $*"; "$@"; }

if [ -z "$data" ]; then
  data=demo/shapes
  run "$GO" run ./assets/shapes/draw -o "$data"
  sets=demo/features
else
  sets=demo/features-$(basename "$data")
fi
for name in resnet8_std resnet8_l2_eps0.25 resnet8_noiseaug; do
  echo
  run "$RTX" featurize -m "assets/backbones/$name.onnx" -d "$data" -o "$sets/$name"
done
echo
echo "Made in $((SECONDS - start)) s, without Python:"
for f in "$sets"/*/; do
  rate=$(sed -n 's/^  "images_per_second": \([0-9]*\).*/\1/p' "$f/run.json")
  counts=$(sed -n 's/^    "\(samples\|skipped\|classes\)": \([0-9]*\).*/\2 \1/p' "$f/run.json" | paste -sd, | sed 's/,/, /g')
  echo "  ${f%/}/features.npy: $counts, $rate images/s"
done
echo "Load them: numpy.load(\"$sets/resnet8_std/features.npy\"), labels.npy and manifest.jsonl beside it."
[ -n "${1:-}" ] || echo "Your turn: make demo DATA=path/to/class/folders"
