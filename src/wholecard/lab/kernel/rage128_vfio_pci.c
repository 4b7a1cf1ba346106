// SPDX-License-Identifier: MIT OR GPL-2.0-only
/*
 * A VFIO variant driver that makes the lab's emulated card (ATI Rage 128, 1002:5046, QEMU's
 * ati-vga) able to move live. Its state is its video memory, all of BAR 0. It does no DMA, so it
 * has no page to report as dirty; the log operations say so, because QEMU asks the device or the
 * IOMMU to track pages and refuses to move a card where neither does.
 *
 * The states and their arcs are those of include/uapi/linux/vfio.h (VFIO_DEVICE_STATE_*): a write
 * of a state may pass through others, and vfio_mig_get_next_state() tells which.
 */
#include <linux/anon_inodes.h>
#include <linux/cleanup.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/io.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/vfio.h>
#include <linux/vfio_pci_core.h>
#include <linux/vmalloc.h>

#define STATE_MAGIC 0x5243415244313238ull /* what travels begins with it, then its length */
#define MEMORY_BAR 0

struct state_head {
	__le64 magic;
	__le64 bytes;
};

/* What is read from the source's card, or written for the destination's; one open file of it. */
struct moved_state {
	struct mutex lock; /* guards all below */
	struct file *file;
	bool ended;
	size_t filled; /* bytes of `data` that are valid */
	size_t size;   /* bytes of `data`: head and video memory */
	u8 *data;
};

struct rage128 {
	struct vfio_pci_core_device core;
	struct mutex lock; /* guards all below */
	enum vfio_device_mig_state state;
	struct moved_state *saving;
	struct moved_state *resuming;
};

static struct rage128 *to_rage128(struct vfio_device *device)
{
	return container_of(device, struct rage128, core.vdev);
}

static size_t memory_bytes(struct rage128 *card)
{
	return pci_resource_len(card->core.pdev, MEMORY_BAR);
}

/* The file that QEMU reads from or writes to */

static int moved_release(struct inode *inode, struct file *file)
{
	struct moved_state *moved = file->private_data;

	mutex_destroy(&moved->lock);
	vfree(moved->data);
	kfree(moved);
	return 0;
}

static ssize_t moved_read(struct file *file, char __user *buffer, size_t count, loff_t *position)
{
	struct moved_state *moved = file->private_data;

	if (position)
		return -ESPIPE;
	guard(mutex)(&moved->lock);
	if (moved->ended)
		return -ENODEV;
	count = min_t(size_t, count, moved->filled - file->f_pos);
	if (copy_to_user(buffer, moved->data + file->f_pos, count))
		return -EFAULT;
	file->f_pos += count;
	return count;
}

static ssize_t moved_write(struct file *file, const char __user *buffer, size_t count,
			   loff_t *position)
{
	struct moved_state *moved = file->private_data;

	if (position)
		return -ESPIPE;
	guard(mutex)(&moved->lock);
	if (moved->ended)
		return -ENODEV;
	if (count > moved->size - moved->filled)
		return -ENOSPC;
	if (copy_from_user(moved->data + moved->filled, buffer, count))
		return -EFAULT;
	moved->filled += count;
	file->f_pos += count;
	return count;
}

static const struct file_operations reading = {
	.owner = THIS_MODULE,
	.read = moved_read,
	.release = moved_release,
};

static const struct file_operations writing = {
	.owner = THIS_MODULE,
	.write = moved_write,
	.release = moved_release,
};

static struct moved_state *new_state(struct rage128 *card, const struct file_operations *operations,
				     int flags)
{
	struct moved_state *moved = kzalloc(sizeof(*moved), GFP_KERNEL_ACCOUNT);
	long error = -ENOMEM;

	if (!moved)
		return ERR_PTR(error);
	moved->size = sizeof(struct state_head) + memory_bytes(card);
	moved->data = vzalloc(moved->size);
	if (!moved->data)
		goto free;
	moved->file = anon_inode_getfile("rage128_state", operations, moved, flags);
	if (IS_ERR(moved->file)) {
		error = PTR_ERR(moved->file);
		goto free;
	}
	stream_open(file_inode(moved->file), moved->file);
	mutex_init(&moved->lock);
	return moved;
free:
	vfree(moved->data);
	kfree(moved);
	return ERR_PTR(error);
}

/* QEMU may keep its file open: what it reads or writes from now on is an error. */
static void end_state(struct moved_state **moved)
{
	if (!*moved)
		return;
	scoped_guard(mutex, &(*moved)->lock)
		(*moved)->ended = true;
	fput((*moved)->file);
	*moved = NULL;
}

/* The card */

/* The guest is paused and may have turned off the decoding of addresses: on while we copy. */
static int copy_memory(struct rage128 *card, u8 *data, bool from_card)
{
	struct pci_dev *device = card->core.pdev;
	u16 command;
	int error = vfio_pci_core_setup_barmap(&card->core, MEMORY_BAR);

	if (error)
		return error;
	down_write(&card->core.memory_lock);
	pci_read_config_word(device, PCI_COMMAND, &command);
	pci_write_config_word(device, PCI_COMMAND, command | PCI_COMMAND_MEMORY);
	if (from_card)
		memcpy_fromio(data, card->core.barmap[MEMORY_BAR], memory_bytes(card));
	else
		memcpy_toio(card->core.barmap[MEMORY_BAR], data, memory_bytes(card));
	pci_write_config_word(device, PCI_COMMAND, command);
	up_write(&card->core.memory_lock);
	return 0;
}

static struct file *begin_saving(struct rage128 *card)
{
	struct moved_state *moved = new_state(card, &reading, O_RDONLY);
	struct state_head *head;
	int error;

	if (IS_ERR(moved))
		return ERR_CAST(moved);
	head = (struct state_head *)moved->data;
	head->magic = cpu_to_le64(STATE_MAGIC);
	head->bytes = cpu_to_le64(memory_bytes(card));
	error = copy_memory(card, moved->data + sizeof(*head), true);
	if (error) {
		fput(moved->file);
		return ERR_PTR(error);
	}
	moved->filled = moved->size;
	card->saving = moved;
	return get_file(moved->file);
}

static struct file *begin_resuming(struct rage128 *card)
{
	struct moved_state *moved = new_state(card, &writing, O_WRONLY);

	if (IS_ERR(moved))
		return ERR_CAST(moved);
	card->resuming = moved;
	return get_file(moved->file);
}

static struct file *end_resuming(struct rage128 *card)
{
	struct moved_state *moved = card->resuming;
	struct state_head *head = (struct state_head *)moved->data;
	int error;

	if (moved->filled != moved->size || le64_to_cpu(head->magic) != STATE_MAGIC ||
	    le64_to_cpu(head->bytes) != memory_bytes(card)) {
		pci_err(card->core.pdev, "%zu bytes that are no state of this card of %zu bytes\n",
			moved->filled, moved->size);
		return ERR_PTR(-EINVAL);
	}
	error = copy_memory(card, moved->data + sizeof(*head), false);
	if (error)
		return ERR_PTR(error);
	end_state(&card->resuming);
	return NULL;
}

#define ARC(from, to) ((from) << 8 | (to))

/* One arc between two neighbouring states; a file where the arc gives one. */
static struct file *one_arc(struct rage128 *card, enum vfio_device_mig_state to)
{
	switch (ARC(card->state, to)) {
	case ARC(VFIO_DEVICE_STATE_STOP, VFIO_DEVICE_STATE_STOP_COPY):
		return begin_saving(card);
	case ARC(VFIO_DEVICE_STATE_STOP_COPY, VFIO_DEVICE_STATE_STOP):
		end_state(&card->saving);
		return NULL;
	case ARC(VFIO_DEVICE_STATE_STOP, VFIO_DEVICE_STATE_RESUMING):
		return begin_resuming(card);
	case ARC(VFIO_DEVICE_STATE_RESUMING, VFIO_DEVICE_STATE_STOP):
		return end_resuming(card);
	default:
		/* The others stop or start DMA, and this card does none. */
		return NULL;
	}
}

static struct file *set_state(struct vfio_device *device, enum vfio_device_mig_state wanted)
{
	struct rage128 *card = to_rage128(device);
	struct file *file = NULL;

	guard(mutex)(&card->lock);
	while (card->state != wanted) {
		enum vfio_device_mig_state next;
		int error = vfio_mig_get_next_state(device, card->state, wanted, &next);

		if (error)
			return ERR_PTR(error);
		file = one_arc(card, next);
		if (IS_ERR(file))
			return file;
		card->state = next;
		if (WARN_ON(file && next != wanted)) {
			fput(file);
			return ERR_PTR(-EINVAL);
		}
	}
	return file;
}

static int get_state(struct vfio_device *device, enum vfio_device_mig_state *state)
{
	struct rage128 *card = to_rage128(device);

	guard(mutex)(&card->lock);
	*state = card->state;
	return 0;
}

static int get_data_size(struct vfio_device *device, unsigned long *bytes)
{
	*bytes = sizeof(struct state_head) + memory_bytes(to_rage128(device));
	return 0;
}

static const struct vfio_migration_ops migration_operations = {
	.migration_set_state = set_state,
	.migration_get_state = get_state,
	.migration_get_data_size = get_data_size,
};

/* It never writes to memory: no page is dirty, whatever is asked for. */
static int log_start(struct vfio_device *device, struct rb_root_cached *ranges, u32 number,
		     u64 *page_size)
{
	return 0;
}

static int log_stop(struct vfio_device *device)
{
	return 0;
}

static int log_read_and_clear(struct vfio_device *device, unsigned long address,
			      unsigned long length, struct iova_bitmap *dirty)
{
	return 0;
}

static const struct vfio_log_ops log_operations = {
	.log_start = log_start,
	.log_stop = log_stop,
	.log_read_and_clear = log_read_and_clear,
};

/* The VFIO device */

static void end_states(struct rage128 *card)
{
	end_state(&card->saving);
	end_state(&card->resuming);
}

static int init_device(struct vfio_device *device)
{
	mutex_init(&to_rage128(device)->lock);
	device->migration_flags = VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P;
	device->mig_ops = &migration_operations;
	device->log_ops = &log_operations;
	return vfio_pci_core_init_dev(device);
}

static void release_device(struct vfio_device *device)
{
	mutex_destroy(&to_rage128(device)->lock);
	vfio_pci_core_release_dev(device);
}

static int open_device(struct vfio_device *device)
{
	struct rage128 *card = to_rage128(device);
	int error = vfio_pci_core_enable(&card->core);

	if (error)
		return error;
	card->state = VFIO_DEVICE_STATE_RUNNING;
	vfio_pci_core_finish_enable(&card->core);
	return 0;
}

static void close_device(struct vfio_device *device)
{
	struct rage128 *card = to_rage128(device);

	scoped_guard(mutex, &card->lock)
		end_states(card);
	vfio_pci_core_close_device(device);
}

/* A card that was reset runs again, and what was to be moved is void (uapi/linux/vfio.h). */
static long control(struct vfio_device *device, unsigned int command, unsigned long argument)
{
	struct rage128 *card = to_rage128(device);
	long answer = vfio_pci_core_ioctl(device, command, argument);

	if (command == VFIO_DEVICE_RESET && !answer) {
		guard(mutex)(&card->lock);
		end_states(card);
		card->state = VFIO_DEVICE_STATE_RUNNING;
	}
	return answer;
}

static const struct vfio_device_ops device_operations = {
	.name = "rage128-vfio-pci",
	.init = init_device,
	.release = release_device,
	.open_device = open_device,
	.close_device = close_device,
	.ioctl = control,
	.device_feature = vfio_pci_core_ioctl_feature,
	.read = vfio_pci_core_read,
	.write = vfio_pci_core_write,
	.mmap = vfio_pci_core_mmap,
	.request = vfio_pci_core_request,
	.match = vfio_pci_core_match,
};

/* The PCI driver */

static int rage128_probe(struct pci_dev *device, const struct pci_device_id *id)
{
	struct rage128 *card =
		vfio_alloc_device(rage128, core.vdev, &device->dev, &device_operations);
	int error;

	if (IS_ERR(card))
		return PTR_ERR(card);
	dev_set_drvdata(&device->dev, &card->core);
	error = vfio_pci_core_register_device(&card->core);
	if (error)
		vfio_put_device(&card->core.vdev);
	return error;
}

static void rage128_remove(struct pci_dev *device)
{
	struct vfio_pci_core_device *core = dev_get_drvdata(&device->dev);

	vfio_pci_core_unregister_device(core);
	vfio_put_device(&core->vdev);
}

/* In modules.alias as vfio_pci:..., so that only who asks for VFIO gets it. */
static const struct pci_device_id rage128_ids[] = {
	{ PCI_DRIVER_OVERRIDE_DEVICE_VFIO(PCI_VENDOR_ID_ATI, 0x5046) },
	{}
};
MODULE_DEVICE_TABLE(pci, rage128_ids);

static struct pci_driver rage128_driver = {
	.name = KBUILD_MODNAME,
	.id_table = rage128_ids,
	.probe = rage128_probe,
	.remove = rage128_remove,
	.err_handler = &vfio_pci_core_err_handlers,
	.driver_managed_dma = true,
};
module_pci_driver(rage128_driver);

MODULE_LICENSE("Dual MIT/GPL");
MODULE_DESCRIPTION("Live migration for the emulated card of Wholecard's lab");
