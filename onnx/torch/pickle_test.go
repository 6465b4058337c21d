package torch_test

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"os"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/onnx/torch"
)

// plain turns a value into the JSON of pickles.jsonl.
func plain(v any) any {
	list := func(items []any) any {
		out := []any{}
		for _, x := range items {
			out = append(out, plain(x))
		}
		return out
	}
	switch v := v.(type) {
	case torch.Bytes:
		return map[string]any{"bytes": base64.StdEncoding.EncodeToString([]byte(v))}
	case *torch.List:
		return list(v.Items)
	case *torch.Tuple:
		return list(v.Items)
	case *torch.Set:
		return list(v.Items)
	case *torch.Dict:
		out := []any{}
		for k, x := range v.All() {
			out = append(out, []any{k, plain(x)})
		}
		return out
	case int64, *big.Int:
		return fmt.Sprint(v)
	}
	return v
}

// TestPickles reads pickles that Python made, of all protocols.
func TestPickles(t *testing.T) {
	r, err := os.Open("testdata/pickles.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	n := 0
	s := bufio.NewScanner(r)
	s.Buffer(nil, 1<<20)
	for ; s.Scan(); n++ {
		var c struct {
			Protocol int
			Pickle   []byte
			Want     any
		}
		if err := json.Unmarshal(s.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		v, err := torch.RunPickle(c.Pickle)
		if got := plain(v); err != nil || !reflect.DeepEqual(got, c.Want) {
			t.Errorf("protocol %d, %q: %v, %v, want %v", c.Protocol, c.Pickle[:min(len(c.Pickle), 80)], got, err, c.Want)
		}
	}
	if n < 200 {
		t.Errorf("%d pickles", n)
	}
}

// TestOpcodes runs opcodes that today's Python does not write.
func TestOpcodes(t *testing.T) {
	for _, c := range []struct{ pickle, want string }{
		{"I01\n.", "true"}, {"I-7\n.", "-7"}, {"L12345678901234567890L\n.", "12345678901234567890"}, {"F1.5\n.", "1.5"},
		{`S'a\x41\'\n\\'` + "\n.", "aA'\n\\"}, {"S\"\\xff\"\n.", "\xff"}, {"V\\u20ac\\U0001F600\xe9\n.", "€😀é"},
		{"U\x02hi.", "hi"}, {"T\x02\x00\x00\x00hi.", "hi"}, {"\x8a\x00.", "0"}, {"\x8a\x01\xff.", "-1"}, {"\x8b\x02\x00\x00\x00\x00\x01.", "256"},
		{"(I1\nI2\n1I3\n.", "3"}, {"I1\n2\x86.", "[1 1]"}, {"(I1\n0(I2\nl.", "[2]"},
		{"(ic\nd\n.", "c.d"}, {"(cc\nd\nI1\no.", "c.d"}, {"cc\nd\n)\x81.", "c.d"}, {"cc\nd\n)}\x92.", "c.d"}, {"\x8c\x01c\x8c\x01d\x93)R.", "c.d"},
		{"cos\nsystem\n(S'id'\ntR.", "os.system"}, {"c__builtin__\neval\n(S'1'\ntR.", "builtins.eval"}, {"cnt\nsystem\n.", "nt.system"},
		{"ccopy_reg\n_reconstructor\n(cm\nC\nc__builtin__\nobject\nNtR}U\x01xI3\nsb.", "m.C"},
		{"c_codecs\nencode\n(V\\u00ff\nVlatin1\ntR.", "\xff"}, {"c__builtin__\nset\n((lI5\natR.", "[5]"},
		{"ctorch\ndevice\n(S'cuda'\nI1\ntR.", "cuda:1"}, {"]2a.", "itself"},
		{"(S'storage'\ntQ0ctorch._utils\n_rebuild_tensor\n((S'storage'\ntQI1\n(I2\nI3\nt(I3\nI1\nttR.", "[2 3]"},
	} {
		v, err := torch.RunPickle([]byte(c.pickle))
		var got string
		switch o := v.(type) {
		case *torch.Object:
			got = string(o.Class)
		case *torch.Tensor:
			got = fmt.Sprint(o.Dims)
		case *torch.List:
			if len(o.Items) == 1 && o.Items[0] == v {
				got = "itself"
				break
			}
			got = fmt.Sprint(plain(v))
		case string, torch.Bytes:
			got = fmt.Sprint(v)
		default:
			got = fmt.Sprint(plain(v))
		}
		if err != nil || got != c.want {
			t.Errorf("%q: %q, %v, want %q", c.pickle, got, err, c.want)
		}
	}
}

func TestBadPickles(t *testing.T) {
	bomb := "V" + strings.Repeat("x", 10000) + "\nq\x00c_codecs\nencode\nq\x01Vlatin1\nq\x02" + strings.Repeat("h\x01h\x00h\x02\x86R0", 1000) + "."
	for _, c := range []struct{ pickle, want string }{
		{"", "ends after 0 bytes"}, {".", "stack is empty"}, {"]", "ends after"}, {"\x80\x09.", "protocol 9"}, {"h\x07.", "remembered as 7"},
		{"X\xff\xff\xff\xffabc.", "ends after"}, {"\x8d\xff\xff\xff\xff\xff\xff\xff\xffabc.", "a value of"}, {"\x8e\xff\xff\xff\xff\x01\x00\x00\x00abc.", "ends after"},
		{"\x8b\xff\xff\xff\x7fa.", "ends after"}, {"L" + strings.Repeat("9", 5000) + "\n.", "5000 digits"}, {"\x97.", "not allowed"}, {"\x82\x01.", "not allowed"},
		{"P1\n.", "text (pickle protocol 0)"}, {"I1\n)R.", "a call of 1"}, {"cc\nd\nI1\nR.", "expected a tuple"}, {"I1\nI2\na.", "has no elements"},
		{"(I1\nd.", "no value"}, {"t.", "no mark"}, {"(0I1\n(0.", ""}, {"\x85.", "stack is empty"}, {"S'a\n.", "quotes"}, {bomb, "again and again"},
		{"ctorch._utils\n_rebuild_tensor_v2\n)R.", "_rebuild_tensor_v2: its arguments"},
		{"ctorch._utils\n_rebuild_tensor\n((S'storage'\ntQI0\n(I9\nt(I1\nttR.", "beyond the 8 values"},
		{"ctorch._utils\n_rebuild_tensor\n((S'storage'\ntQI-1\n(I1\nt(I1\nttR.", "not as expected"},
		{"ctorch._utils\n_rebuild_tensor\n((S'storage'\ntQI0\n(I99999999999\nI1000\nt(I0\nI0\nttR.", "of a storage of 8 values"},
		{"ctorch._utils\n_rebuild_tensor\n((S'storage'\ntQI0\n(I9999999999999\nI99999999999\nt(I0\nI0\nttR.", "with strides"},
		{"ctorch._utils\n_rebuild_tensor\n((S'storage'\ntQI0\n(I2\nt(I-1\nttR.", "with strides"},
		{"ccopyreg\n_reconstructor\nq\x00(h\x00Nh\x00tR.", "not as expected"},
	} {
		_, err := torch.RunPickle([]byte(c.pickle))
		if c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%.60q: %v, want %q", c.pickle, err, c.want)
		}
	}
}

// FuzzPickle checks that no pickle makes the machine crash, or take more memory than
// a small multiple of its size.
func FuzzPickle(f *testing.F) {
	for _, p := range []string{
		"(dp0\nV\\u20ac\np1\n(lp2\nI1\naF2.5\naL3L\nasg1\n(I01\nNtp3\ns.", "\x80\x02}q\x00(U\x01aK\x01X\x01\x00\x00\x00b]q\x01(J\x00\x00\x00\x00G\x00\x00\x00\x00\x00\x00\x00\x00eu.",
		"\x80\x04\x95\x05\x00\x00\x00\x00\x00\x00\x00\x8f\x94(\x8c\x01a\x94C\x01b\x90.", "ccollections\nOrderedDict\n)Rq\x01}b.", "\x8c\x02os\x8c\x06system\x93\x8c\x02id\x85R.",
		"ctorch._utils\n_rebuild_tensor_v2\n((S'storage'\ntQI0\n(I2\nI3\nt(I3\nI1\ntI00\nNtR.", "cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(U\x02f8I0\nI1\ntR(I3\nU\x01<NNNI-1\nI-1\nI0\ntbU\x08\x00\x00\x00\x00\x00\x00\xf0?tR.",
		"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntU\x01btR(I1\n(I2\ntcnumpy\ndtype\n(U\x02i1I0\nI1\ntRI00\nU\x02abtb.",
		"ccopy_reg\n_reconstructor\n(cm\nC\nc__builtin__\nobject\nNtR}U\x01xI3\nsb.", "c_codecs\nencode\n(V\\u00ff\nVlatin1\ntR.",
	} {
		f.Add([]byte(p))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		torch.RunPickle(data)
		runtime.ReadMemStats(&after)
		if got := after.TotalAlloc - before.TotalAlloc; got > uint64(1<<20+400*len(data)) {
			t.Errorf("%d bytes allocated for %d", got, len(data))
		}
	})
}
