/*
 * torch_names.h - the names that torch pickles and the members of its archives go by, for reader and writer.
 */
#ifndef SPHINX_STORE_TORCH_NAMES_H
#define SPHINX_STORE_TORCH_NAMES_H

/* X(dtype, storage class in module torch) */
#define TORCH_STORAGE_MAP(X)                                                                                 \
    X(F32, "FloatStorage")                                                                                   \
    X(F16, "HalfStorage")                                                                                    \
    X(BF16, "BFloat16Storage")                                                                               \
    X(F64, "DoubleStorage")                                                                                  \
    X(I64, "LongStorage")                                                                                    \
    X(I32, "IntStorage")                                                                                     \
    X(I16, "ShortStorage")                                                                                   \
    X(I8, "CharStorage")                                                                                     \
    X(U8, "ByteStorage")                                                                                     \
    X(BOOL, "BoolStorage")

#define TORCH_MODULE_STORAGE   "torch"
#define TORCH_MODULE_REBUILD   "torch._utils"
#define TORCH_REBUILD_TENSOR   "_rebuild_tensor_v2"
#define TORCH_REBUILD_PARAM    "_rebuild_parameter"
#define TORCH_MODULE_DICT      "collections"
#define TORCH_DICT             "OrderedDict"
#define TORCH_MEMBER_PICKLE    "/data.pkl"
#define TORCH_MEMBER_STORAGE   "/data/"
#define TORCH_MEMBER_BYTEORDER "/byteorder"
#define TORCH_MEMBER_VERSION   "/version"

#endif
