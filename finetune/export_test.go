package finetune

// Order is the rows of an epoch, for tests.
var Order = order
