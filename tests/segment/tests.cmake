sphinx_test(segment sam LINK sphinx_segment)
sphinx_test(segment mask_rle LINK sphinx_segment)
