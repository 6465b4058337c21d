# Compares the committed digests with those of the Pillow that is installed.
set -euo pipefail
here=$(dirname "$0")
data=${RTX_SHARED_DATA:-../shared/data}
if ! "$PYTHON" -c 'import PIL' 2>/dev/null || [ ! -d "$data" ]; then
  echo "SKIPPED: parity needs Pillow for $PYTHON ($PYTHON -m pip install pillow) and the test data in $data"
  [ "${RTX_REQUIRE_PEERS:-}" != 1 ] || exit 1
  exit 0
fi
echo "$PYTHON: $("$PYTHON" -c 'import sys, PIL; print("Python", sys.version.split()[0] + ", Pillow", PIL.__version__)')"
"$PYTHON" -W ignore "$here/golden.py" "$data" | grep -v '^#' >/tmp/rtx-parity.$$
trap 'rm -f /tmp/rtx-parity.$$' EXIT
grep -v '^#' "$here/golden.tsv" | diff - /tmp/rtx-parity.$$ && echo "Pillow's pixels are the committed ones"
go test -count=1 -run TestPillow ./featurize/pixels
