"""The files of a model's directory, by its publisher's word: known before their bytes come."""

from decentralized_vllm.content.cid import RAW
from decentralized_vllm.content.dag_pb import PbLink
from decentralized_vllm.content.model_files import check_model_file_name
from decentralized_vllm.content.nodes import DirectoryNode
from decentralized_vllm.content.reads import ContentReads
from decentralized_vllm.protocol.errors import UnsafeModel

MAX_FOLDERS = 4  # of a model that makes vectors: two
TREE_SHARE = 1 / 64  # of a file's tree, more than the nodes beside its bytes take


async def listed_files(reads: ContentReads, directory: DirectoryNode) -> dict[str, int]:
    """Sizes by name, none larger than the file; what lies in a folder as `folder/name`.

    Raises as `reads` does.
    """
    folders = [link for link in directory.entries if _may_be_folder(link)]
    if len(folders) > MAX_FOLDERS:
        folders = []  # their names alone are refused
    files = {link.name: _size(link) for link in directory.entries if link not in folders}
    for folder in folders:
        node = await reads.load(folder.cid)
        if isinstance(node, DirectoryNode):
            files |= {f"{folder.name}/{link.name}": _size(link) for link in node.entries}
        else:
            files[folder.name] = node.file_bytes
    return files


def _may_be_folder(link: PbLink) -> bool:
    try:
        check_model_file_name(link.name)
    except UnsafeModel:
        return link.cid.codec != RAW
    return False


def _size(link: PbLink) -> int:
    if link.cid.codec == RAW:
        return link.tree_bytes
    return link.tree_bytes - int(link.tree_bytes * TREE_SHARE)
