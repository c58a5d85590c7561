"""From bytes to log-mel patches: pure numpy, no Beam, no TensorFlow."""
