# The demo: which of three backbones serves a folder of images best? Called by
# `make demo`.
set -euo pipefail
data=${1:-}
start=$SECONDS
models="resnet8_std resnet8_l2_eps0.25 resnet8_noiseaug"
# Whatever calls Python is found out.
trap=$(mktemp -d)
trap 'rm -rf "$trap"' EXIT
for name in python python3; do
  printf '#!/bin/sh\ntouch "%s/ran"\nexit 127\n' "$trap" > "$trap/$name"
  chmod +x "$trap/$name"
done
PATH=$trap:$PATH

run() { echo "+ $*"; "$@"; }

# four images of a folder, from far apart.
four() { find "$1" -type f \( -iname '*.jpg' -o -iname '*.jpeg' -o -iname '*.png' -o -iname '*.webp' -o -iname '*.bmp' -o -iname '*.gif' -o -iname '*.tif' -o -iname '*.tiff' \) | sort | awk 'NR % 97 == 1' | head -4; }

predict() {
  echo
  local images=()
  while IFS= read -r f; do images+=("$f"); done < <(four "$1")
  if [ ${#images[@]} -gt 0 ]; then
    run "$RTX" predict -m "$2/best.onnx" --top-k 2 "${images[@]}"
  fi
}

if [ -n "$data" ]; then
  out=demo/$(basename "$data")
  run "$RTX" compare $models -d "$data" -o "$out"
  if [ -d "$data" ]; then predict "$data" "$out"; fi
  echo
  echo "The report, for a browser: $out/report.html"
else
  run "$GO" run ./assets/shapes/draw -o demo/shapes
  run "$GO" run ./assets/shapes/draw -o demo/noisy -noise 0.45
  run "$RTX" plot inversion $models -d demo/shapes -o demo/inversion.png --overwrite
  for images in shapes noisy; do
    echo
    run "$RTX" compare $models -d demo/$images -o demo/compare-$images --seeds 1
  done
  predict demo/noisy/test demo/compare-noisy
  echo
  run "$RTX" finetune -m resnet8_std -d demo/shapes -o demo/finetune
  echo
  run "$GO" run ./assets/shapes/draw -o demo/scenes -scenes -n 160 -classes heart,ring,star
  run "$RTX" detect -m resnet8_std -d demo/scenes -o demo/detect --size 160 --masks off --epochs 3 --lr 0.02
  run "$RTX" eval -m demo/detect/weights/best.onnx -d demo/scenes --split val
  run "$RTX" predict -m demo/detect/weights/best.onnx $(ls demo/scenes/val/* | head -2) -o demo/found --draw --score 0.7
  first() { awk -F, 'NR > 1 && $1 == 1 { printf "%s%s", sep, $2; sep = " and " }' "$1/results.csv"; }
  top1() { awk -F, -v m="$2" '$2 == m { printf "%.1f %%", 100 * $9 }' "$1/results.csv"; }
  tuned() { sed -n 's/^    "top1": \([0-9.]*\),*$/\1/p' demo/finetune/run.json | head -1 | awk '{ printf "%.1f %%", 100 * $1 }'; }
  echo
  echo "demo/inversion.png shows what gradient descent recovers of images from the features of each network alone."
  echo "Best on clean images: $(first demo/compare-shapes); with noise on training and test images: $(first demo/compare-noisy)."
  echo "Those named together cannot be told apart."
  for m in $models; do
    echo "  $m: $(top1 demo/compare-shapes $m) clean, $(top1 demo/compare-noisy $m) noisy"
  done
  echo "resnet8_noiseaug is the control: trained with noise, not against an adversary. What it gains shows how much"
  echo "of the robust one's lead is tolerance of noise. These are small CIFAR-10 networks; they show the method, and do"
  echo "not repeat the paper's results on ImageNet."
  echo "resnet8_std fine-tuned on the clean images: $(tuned) (its probe: $(top1 demo/compare-shapes resnet8_std)); weights and curves in demo/finetune."
  echo "A detector of shapes on the same backbone: demo/detect/report.html, and what its ONNX file finds in two images: demo/found."
  echo "The reports, for a browser: demo/compare-shapes/report.html, demo/compare-noisy/report.html, demo/detect/report.html"
fi
echo
python="and no Python ran"
[ ! -e "$trap/ran" ] || python="and Python ran"
echo "$((SECONDS - start)) s in all, $python."
[ -n "${1:-}" ] || echo "Your turn: make demo DATA=path/to/class/folders"
