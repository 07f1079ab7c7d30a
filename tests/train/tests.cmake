sphinx_test(train sample LINK sphinx_train)
sphinx_test(train order LINK sphinx_train)
sphinx_test(train corpus LINK sphinx_train)
sphinx_test(train train_step LINK sphinx_train)
