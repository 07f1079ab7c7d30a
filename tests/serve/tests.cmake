sphinx_test(serve chat_api LINK sphinx_serve)
sphinx_test(serve server LINK sphinx_serve)
sphinx_test(serve chat_request LINK sphinx_serve)
sphinx_test(serve image_api LINK sphinx_serve)
