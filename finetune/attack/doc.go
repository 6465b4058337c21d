// Package attack measures robustness: it searches for images near given ones that a
// classifier gets wrong. An [Attacker] holds a network of finetune/graph, an executor
// that has its weights, and a batch size:
//
//	a, err := attack.New(net, executor, attack.Options{Batch: 100})
//	threat, err := attack.ParseThreat("linf:4/255")
//	for outcome, err := range a.Attack(ctx, rows, attack.Config{Threat: threat}) {
//
// # What is attacked
//
// The variable is the image [3,H,W] in [0,1], in the Spec's channel order, before
// value range, clamp and normalisation, which are part of the differentiated program.
// A threat's radius is in the same units, which are those of MadryLab's robustness
// library and of RobustBench. Batch norms are in inference mode. Only what the
// gradient by the images needs is computed.
//
// An adversarial image is within the threat's ball around the original and within
// [0,1] to the last bit: its difference from the original, in exact arithmetic, has at
// most the norm Eps. An outcome never rests on what the attack believes: the float32
// image that is returned has been evaluated on its own.
//
// # How rows are batched
//
// The attack of a row is a sequence of questions to the network, and does not depend
// on other rows. Rows are attacked concurrently, and each batch takes the questions of
// as many rows as it has places. A row that is misclassified without an attack, or
// fooled, makes room for the next, so batches stay full until the rows run out.
//
// Random numbers depend on the seed, the row's ID, the member of the attack and the
// restart. Outcomes therefore do not depend on the batch size, the order or the choice
// of rows, beyond the rounding of the executor, and a stopped attack is continued by
// attacking the rows that have no outcome yet.
package attack
