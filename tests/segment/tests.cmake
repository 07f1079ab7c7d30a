sphinx_test(segment sam LINK sphinx_segment)
sphinx_test(segment sam_convert LINK sphinx_segment)
sphinx_test(segment segmenter LINK sphinx_segment)
sphinx_test(segment sam_gradients LINK sphinx_segment)
