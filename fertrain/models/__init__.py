"""Networks: features, then one head.

factory          networks by name: `factory.build("resnet10t", num_classes=8)`
classifier       features + head (f_FER)
label_embedding  the head that predicts word vectors
vgg13, deep_emotion    networks that timm lacks
weights, convert, pretrained    weights in and out of files
inference        eval mode; logits of many images
"""
