package lower_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/finetune/graph/graphtest"
	"github.com/robust-transfer/rtx/finetune/lower"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// TestNoRacingScatter: no op is emitted as a ScatterND that adds up, or otherwise
// reduces, what goes to one place. onnxruntime's kernel for the CPU does that in
// several threads without a lock, and returns wrong sums, silently and not always.
// ScatterElements, which is sequential, is what to use. The test fails if it does not
// see each op of package graph.
func TestNoRacingScatter(t *testing.T) {
	seen := map[string]bool{}
	for name, p := range everyOp(t) {
		for _, n := range p.Nodes {
			if n.Op != nil {
				seen[strings.TrimPrefix(fmt.Sprintf("%T", n.Op), "graph.")] = true
			}
		}
		for _, c := range []lower.Config{{}, {Portable: true}} {
			for _, cpu := range []bool{true, false} {
				m, err := lower.Model(p, c, cpu)
				if err != nil {
					t.Fatal(name, err)
				}
				for _, n := range m.Proto.Graph.Node {
					if racing(n) {
						t.Errorf("%s, %+v, cpu %v: ScatterND with a reduction", name, c, cpu)
					}
				}
			}
		}
	}
	for _, op := range emitters(t) {
		if !seen[op] {
			t.Errorf("no program of this test has the op %s", op)
		}
	}
}

// racing tells whether a node is a ScatterND with a reduction.
func racing(n *pb.NodeProto) bool {
	return n.OpType == "ScatterND" && slices.ContainsFunc(n.Attribute, func(a *pb.AttributeProto) bool {
		return a.Name == "reduction" && string(a.S) != "none"
	})
}

// everyOp makes programs that have all ops between them: a case of each operator and
// loss, the updates of each optimizer, and the ops that programs rarely have.
func everyOp(t *testing.T) map[string]*graph.Program {
	out := map[string]*graph.Program{}
	for _, c := range graphtest.Cases(rand.New(rand.NewPCG(6, 1))) {
		_, p, err := c.Program()
		if err != nil {
			t.Fatal(c.Name, err)
		}
		out[c.Name] = p
	}
	for name, update := range optimizers {
		out[name] = descent(t, 4, 7, update)
	}
	m := &maker{t: t}
	x, by := m.leaf(graph.Input, "x", 2, 3, 4, 5), m.leaf(graph.Input, "by", 3)
	y := m.op(graph.Affine{}, x, by, by)
	m.output("clip", m.op(graph.ClipGradient{Low: -1, High: 1}, y, x))
	m.output("lerp", m.op(graph.Lerp{Scale: 2}, y, x, m.leaf(graph.Input, "at", 1)))
	out["others"] = &m.p
	return out
}

// emitters are the names of the types of package graph that have the method Emit,
// except those that no program has.
func emitters(t *testing.T) []string {
	files, err := filepath.Glob("../graph/*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, name := range files {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			method, ok := d.(*ast.FuncDecl)
			if !ok || method.Name.Name != "Emit" || method.Recv == nil || strings.HasSuffix(name, "_test.go") {
				continue
			}
			if op, ok := method.Recv.List[0].Type.(*ast.Ident); ok && op.IsExported() {
				found[op.Name] = true
			}
		}
	}
	if len(found) < 50 {
		t.Fatalf("%d ops have the method Emit, expected 50 or more", len(found))
	}
	return slices.Sorted(maps.Keys(found))
}
