// Package visual shows what a network looks at and what its features hold, by
// gradients with respect to the image.
//
// [Gradients] are those of the cross-entropy of a class. [Inverter] recovers an image
// from features alone: it starts from grey noise, or from another image, and changes
// pixels by gradient descent until the features are those of the wanted image
// (Mahendran and Vedaldi 2015, "Understanding deep image representations by inverting
// them"). Adversarially trained networks give gradients that people can read, and
// images that resemble the wanted one, where standard networks give noise (Tsipras et
// al. 2019, "Robustness may be at odds with accuracy"; Engstrom et al. 2019,
// "Adversarial robustness as a prior for learned representations").
//
//	net, err := graph.Read(model, value) // a feature map, such as the last of Model.Stages
//	v, err := visual.NewInverter(net, executor, visual.Config{Batch: 8})
//	images, err := v.Invert(ctx, wanted, start)
//
// Images are float32 [N,3,H,W] in [0,1], in the Spec's channel order; range, mean and
// std of the Spec are part of the network. Weights must be in the executor
// (finetune.Load), and do not change. Batch norms normalise by their running
// statistics.
package visual
