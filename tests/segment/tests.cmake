sphinx_test(segment sam LINK sphinx_segment)
