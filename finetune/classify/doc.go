// Package classify trains networks to classify images.
//
// [Task] is a finetune.Task for networks that graph.Read has read for their logits
// [N,K], and for data whose truth is a label for each row, an int from 0 to K-1, such
// as augment.Data:
//
//	task := classify.Task{LabelSmoothing: 0.1, Mix: augment.Mixup{Alpha: 0.2}.Mix}
//	result, err := finetune.Train(ctx, net, executor, task, data, finetune.Config{})
//	fmt.Println(result.Best.Figure(classify.Top1))
//
// The Example of package finetune is complete.
//
// # Loss
//
// A step is a single program. Its loss is the mean softmax cross-entropy of the
// logits and target distributions, the program's input [Targets]. Label smoothing and
// mixtures of images, such as mixup, change the targets and not the program.
//
// # Scores
//
// Evaluation computes the mean cross-entropy (without smoothing or mixtures) and, as
// fractions, [Top1] and [MeanPerClass], of which Task.MeanPerClass says which ranks
// epochs.
//
// # Features
//
// If only the head is trained and images are neither augmented nor mixed, the task
// lets finetune.Train compute features once and train on those.
package classify
